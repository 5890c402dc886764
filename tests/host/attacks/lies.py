"""What code in a kernel may put on the wire, and what must come of it. Each is a program, with its honest twin beside it.

An attack's `code` has `LIE` where the lie stands; its control is the same program with `honest` there, which shows
`spoke`. So an attack that fails because its program is broken cannot pass for one that was repelled.
"""

from dataclasses import dataclass
from pathlib import Path

LIAR = Path(__file__).with_name("liar.py").read_text()  # what every program begins with
SPOKE = "spoke"
HONEST = '{"name": "stdout", "text": "spoke"}'


@dataclass(frozen=True)
class Attack:
    """`status` and `kept` (whether the kernel lives on) are the verdict; `says` is all the text that may be shown.

    `kept` None: the lie may be cut off in the middle, and then the kernel goes with it.
    """

    name: str
    code: str
    lie: str
    honest: str
    status: str
    kept: bool | None = True
    says: str | None = None
    stdin: bool = False
    timeout: float = 90.0

    def program(self, what: str) -> str:
        assert "LIE" in self.code
        return self.code.replace("LIE", what)


def breach(name: str, code: str, lie: str, honest: str) -> Attack:
    """What no honest kernel sends: the kernel is ended, and the execution says why."""
    return Attack(name, code, lie, honest, "protocol_error", kept=False)


# --- bytes -----------------------------------------------------------------------------------------------------------

BYTES = "p = parts_of('stream', {'name': 'stdout', 'text': 'spoke'})\nput('iopub', LIE)"
BODY = "signed(p)"
bytes_ = [
    breach(name, BYTES, lie, BODY)
    for name, lie in {
        "signed with another key": "signed(p, key=b'guessed')",
        "not signed": "zmtp([b'topic', b'<IDS|MSG>', b'', *p])",
        "signed in capitals": "zmtp([b'topic', b'<IDS|MSG>', sign(p).upper(), *p])",
        "another message's signature": "zmtp([b'topic', b'<IDS|MSG>', sign(parts_of('status', {})), *p])",
        "a content that the signature does not cover": "zmtp([b't', b'<IDS|MSG>', sign(p), *p[:3], b'{\"name\":\"x\"}'])",
        "a message without delimiter": "zmtp([b'topic', sign(p), *p])",
        "the delimiter far behind": "zmtp([b'a', b'b', b'c', b'd', b'e', b'<IDS|MSG>', sign(p), *p])",
        "a message without content": "zmtp([b'topic', b'<IDS|MSG>', sign(p[:3]), *p[:3]])",
        "a content that is no JSON": "signed([*p[:3], b'{'])",
        "a content that is no UTF-8": 'signed([*p[:3], b\'{"name": "stdout", "text": "\\xff"}\'])',
        "a content that is a list": "signed([*p[:3], b'[]'])",
        "a content that is null": "signed([*p[:3], b'null'])",
        "a content nested without end": "signed([*p[:3], b'{\"text\":' + b'[' * 200_000])",
        "a number of a million digits": "signed([*p[:3], b'{\"text\":' + b'9' * 1_000_000 + b'}'])",
        "three million values": "signed([*p[:3], b'{\"text\":[' + b'0,' * 3_000_000 + b'0]}'])",
        "a header that is a list": "signed([b'[]', *p[1:]])",
        "a header without msg_type": "signed([b'{}', *p[1:]])",
        "a msg_type that is a number": "signed([b'{\"msg_type\": 5}', *p[1:]])",
        "a msg_type without end": "signed([json.dumps({'msg_type': 'x' * 1000}).encode(), *p[1:]])",
        "a header of a megabyte": "signed([p[0] + b' ' * (1 << 20), *p[1:]])",
        "a parent that is a text": "signed([p[0], b'\"x\"', *p[2:]])",
        "a parent whose msg_id is a list": "signed([p[0], b'{\"msg_id\": [1]}', *p[2:]])",
        "metadata that is a number": "signed([*p[:2], b'1', p[3]])",
        "a message of a thousand frames": "signed(p, buffers=[b''] * 1000)",
        "a buffer of 20 MiB": "signed(p, buffers=[bytes(20 << 20)])",
        "a frame that claims a terabyte": "b'\\x02' + (1 << 40).to_bytes(8, 'big')",
        "a frame that claims less than nothing": "b'\\x02' + b'\\xff' * 8",
        "reserved flags": "b'\\xf8\\x00'",
        "a command that claims a megabyte": "b'\\x06' + (1 << 20).to_bytes(8, 'big')",
        "a command inside a message": "b'\\x01\\x00\\x04\\x05\\x04PING'",
        "the ERROR command": "b'\\x04\\x08\\x05ERROR\\x01x'",
        "a parts flood that never ends": "b'\\x01\\x00' * 100_000",
    }.items()
]

# --- contents --------------------------------------------------------------------------------------------------------

SAYING = "say('iopub', {type!r}, LIE)"
HTML = '{"data": {"text/plain": "spoke"}, "metadata": {}}'


def content(msg_type: str, honest: str, lies: dict[str, str], more: str = "") -> list[Attack]:
    code = SAYING.format(type=msg_type) + more
    return [breach(f"{msg_type}: {name}", code, lie, honest) for name, lie in lies.items()]


contents = [
    *content(
        "stream",
        HONEST,
        {
            "a name that is a number": '{"name": 1, "text": "x"}',
            "a name that is neither": '{"name": "stdlog", "text": "x"}',
            "a text that is null": '{"name": "stdout", "text": None}',
            "a text that is an object": '{"name": "stdout", "text": {"a": 1}}',
            "nothing at all": "{}",
        },
    ),
    *content(
        "display_data",
        HTML,
        {
            "data that is a list": '{"data": ["x"], "metadata": {}}',
            "a hundred representations": '{"data": {f"text/{n}": "x" for n in range(100)}, "metadata": {}}',
            "metadata that is a text": '{"data": {"text/plain": "x"}, "metadata": "x"}',
            "a display_id that is an object": '{"data": {}, "metadata": {}, "transient": {"display_id": {}}}',
            "a display_id without end": '{"data": {}, "metadata": {}, "transient": {"display_id": "x" * 1000}}',
            "transient that is a list": '{"data": {}, "metadata": {}, "transient": [1]}',
        },
    ),
    *content(
        "execute_result",
        '{"data": {"text/plain": "spoke"}, "metadata": {}, "execution_count": 7}',
        {
            "a count below zero": '{"data": {}, "metadata": {}, "execution_count": -1}',
            "a count that is true": '{"data": {}, "metadata": {}, "execution_count": True}',
            "a count beyond all": '{"data": {}, "metadata": {}, "execution_count": 10**30}',
            "a count that is a text": '{"data": {}, "metadata": {}, "execution_count": "7"}',
        },
    ),
    *content(
        "update_display_data",
        '{"data": {}, "metadata": {}, "transient": {"display_id": "x"}}',
        {"no display_id": '{"data": {}, "metadata": {}}', "an empty content": "{}"},
        "; out('spoke')",
    ),
    *content("status", '{"execution_state": "busy"}', {"no state": '{"execution_state": None}'}, "; out('spoke')"),
    *content("clear_output", '{"wait": True}', {"a wait that is a text": '{"wait": "yes"}'}, "; out('spoke')"),
    *content(
        "error",
        '{"ename": "E", "evalue": "v", "traceback": ["t"]}',
        {
            "a name that is a number": '{"ename": 5, "evalue": "v", "traceback": []}',
            "a traceback that is a text": '{"ename": "E", "evalue": "v", "traceback": "t"}',
        },
        "; out('spoke')",
    ),
    *[
        breach(f"execute_reply: {name}", f"say('shell', 'execute_reply', LIE); out({SPOKE!r})", lie, honest)
        for name, lie, honest in [
            ("a status that is none", '{"status": "maybe"}', '{"status": "ok"}'),
            ("no status", "{}", '{"status": "ok"}'),
            ("a payload that is a text", '{"status": "ok", "payload": "x"}', '{"status": "ok", "payload": []}'),
            ("a page that is none", '{"status": "ok", "payload": [{"source": "page", "data": 5}]}', '{"status": "ok"}'),
            ("a count that is a list", '{"status": "ok", "execution_count": [1]}', '{"status": "ok"}'),
        ]
    ],
    breach(
        "input_request: a prompt that is a number",
        "say('iopub', 'status', {'execution_state': 'busy'})\nLIE",
        "say('stdin', 'input_request', {'prompt': 5}); time.sleep(20)",
        "out('spoke')",
    ),
]
# honest code may nest so deep: what is too much of it is left out
DEEP = '{"data": {"application/json": json.loads("[" * 200 + "]" * 200)}, "metadata": {}}'
contents += [
    Attack("display_data: data nested too deep", SAYING.format(type="display_data"), DEEP, HTML, "ok"),
    Attack(
        "display_data: data nested deeper than can be read",
        "p = parts_of('display_data', {'data': {'text/plain': 'spoke'}, 'metadata': {}})\nput('iopub', signed(LIE))",
        "[*p[:3], b'{\"data\": {\"application/json\":' + b'[' * 50_000 + b']' * 50_000 + b'}, \"metadata\": {}}']",
        "p",
        "ok",
    ),
]
# an unanswered question counts only where somebody may answer
asking = next(n for n, each in enumerate(contents) if each.name.startswith("input_request"))
contents[asking] = Attack(**{**contents[asking].__dict__, "stdin": True})

# --- what belongs to somebody else, or to nobody ---------------------------------------------------------------------

DROPPED = "LIE\nout('!')"


def dropped(name: str, lie: str, honest: str = "out('spoke')") -> Attack:
    return Attack(name, DROPPED, lie, honest, "ok", says="!")


OTHER = "{'msg_id': OTHER}"  # the test puts an execution of another session there
strangers = [
    dropped("an output for another session's execution", f"out('forged', parent={OTHER})"),
    dropped(
        "a reply for another session's execution", f"say('shell', 'execute_reply', {{'status': 'error'}}, {OTHER})"
    ),
    dropped(
        "an idle for another session's execution", f"say('iopub', 'status', {{'execution_state': 'idle'}}, {OTHER})"
    ),
    dropped("a question for another session's execution", f"say('stdin', 'input_request', {{'prompt': ''}}, {OTHER})"),
    dropped("an output without parent", "out('forged', parent={})"),
    dropped("an output for an execution that nobody knows", "out('forged', parent={'msg_id': uuid.uuid4().hex})"),
    dropped("an output for a parent with a NUL and a surrogate", "out('forged', parent={'msg_id': '\\0\\ud800'})"),
    dropped("an output on the shell channel", f"say('shell', 'stream', {HONEST})"),
    dropped("an output on the control channel", f"say('control', 'stream', {HONEST})"),
    dropped("a reply on the iopub channel", "say('iopub', 'execute_reply', {'status': 'error'})"),
    dropped("a request to the server", "say('iopub', 'execute_request', {'code': 'import os; os._exit(1)'})"),
    dropped("a shutdown of the server's", "say('control', 'shutdown_request', {'restart': False})"),
    dropped("a message type without meaning", "say('iopub', 'x' * 200, {'a': [{}] * 1000})"),
    dropped("an answer nobody asked for", "say('shell', 'complete_reply', {'matches': 7}, {'msg_id': 'x'})"),
    dropped("a question where nobody may answer", "say('stdin', 'input_request', {'prompt': 'password?'})"),
    dropped("a welcome again and again", "[say('iopub', 'iopub_welcome', {}, {}) for _ in range(100)]"),
    dropped(
        "buffers of four megabytes on an output",
        "put('iopub', signed(parts_of('comm_msg', {'data': {}}), buffers=[bytes(1 << 20)] * 4))",
    ),
    dropped("a READY once more", "put('iopub', b'\\x04\\x06\\x05READY')"),
]

# --- ends ------------------------------------------------------------------------------------------------------------

ends = [
    Attack(
        "idle before the end: what follows is still heard",
        "LIE; print('spo', end='', flush=True); print('ke')",
        "idle()",
        "pass",
        "ok",
        says="spoke\n",
    ),
    Attack(
        "a reply before the end: what follows is still heard",
        "LIE; print('spo', end='', flush=True); print('ke')",
        "reply()",
        "pass",
        "ok",
        says="spoke\n",
    ),
    Attack("a reply that says the code failed", "out('spoke'); LIE; idle()", "reply('error')", "reply()", "error"),
    Attack("a reply that says it was aborted", "out('spoke'); LIE; idle()", "reply('aborted')", "reply()", "cancelled"),
    Attack(
        "a reply that asks to exit",
        "out('spoke'); LIE; idle()",
        "reply(payload=[{'source': 'ask_exit', 'keepkernel': False}])",
        "reply(payload=[{'source': 'ask_exit', 'keepkernel': True}])",
        "ok",
        kept=False,
    ),
    Attack(
        "never answering",
        "out('spoke'); LIE",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]); time.sleep(60)",
        "time.sleep(0)",
        "timeout",
        kept=False,
        timeout=1.5,
    ),
    Attack(
        "stopping itself",
        "out('spoke'); LIE",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "os.kill(os.getpid(), 0)",
        "timeout",
        kept=False,
        timeout=1.5,
    ),
    Attack(
        "half a message and silence",
        "LIE; print('spoke', flush=True)",
        "put('iopub', b'\\x02' + (1 << 20).to_bytes(8, 'big') + b'half')",
        "put('iopub', signed(parts_of('comm_msg', {})))",
        "timeout",
        kept=False,
        timeout=1.5,
    ),
    *[
        Attack(
            f"{what} its {channel} connection",
            "out('spoke'); LIE\nwhile len(sockets()) < 4: time.sleep(1)",
            call,
            "pass",
            "kernel_died",
            kept=False,
        )
        for channel in ("shell", "iopub", "control", "stdin")
        for what, call in [
            ("shutting", f"socket.socket(fileno=WIRES[{channel!r}]).shutdown(socket.SHUT_RDWR); time.sleep(20)"),
            ("half closing", f"socket.socket(fileno=WIRES[{channel!r}]).shutdown(socket.SHUT_WR); time.sleep(20)"),
        ]
    ],
    Attack(
        "closing every descriptor it has",
        "out('spoke'); LIE",
        "os.closerange(0, 1024); time.sleep(20)",
        "os.closerange(1000, 1024)",
        "kernel_died",
        kept=False,
    ),
    Attack(
        "unlinking its sockets, which is not permitted",
        "out('spoke'); LIE",
        "os.unlink(f'{RUN}/k-1')",
        "os.stat(f'{RUN}/k-1')",
        "error",
    ),
    Attack(
        "replacing its sockets, which is not permitted",
        "out('spoke'); open('mine', 'w'); LIE",
        "os.replace('mine', f'{RUN}/k-1')",
        "os.replace('mine', 'k-1')",
        "error",
    ),
    Attack(
        "half-open connections to itself, as many as it may",
        "held = []\ntry:\n    while LIE:\n        one = socket.socket(socket.AF_UNIX); held.append(one); one.settimeout(1)\n"
        "        one.connect(f'{RUN}/k-2')\nexcept OSError: pass\nfor one in held: one.close()\nout('spoke')",
        "True",
        "not held",
        "ok",
        says="spoke",
    ),
    Attack(
        "questions without end",
        "out('spoke')\nend = time.monotonic() + LIE\nwhile time.monotonic() < end:\n"
        "    say('stdin', 'input_request', {'prompt': 'x' * 1000, 'password': False})",
        "60",
        "0",
        "interrupted",
        kept=None,
        stdin=True,
    ),
]

# --- floods ----------------------------------------------------------------------------------------------------------


def many(msg_type: str, content: str, count: int, channel: str = "iopub") -> str:
    """So many messages, one after another; `n` counts them."""
    return f"flood({msg_type!r}, ({content} for n in range({count})), {channel!r})"


def flooding(name: str, lie: str, honest: str = "out('spoke')", **verdict: object) -> Attack:
    return Attack(name, "LIE", lie, honest, **{"status": "ok", **verdict})  # type: ignore[arg-type]


floods = [
    flooding("two streams in turn", many("stream", "{'name': ('stdout', 'stderr')[n % 2], 'text': '.'}", 10_000)),
    flooding("40,000 tiny messages", many("stream", "{'name': 'stdout', 'text': '.'}", 40_000)),
    flooding("64 MiB of text", many("stream", "{'name': 'stdout', 'text': 'x' * (1 << 18)}", 256)),
    flooding("64 MiB in one print", "print('x' * (64 << 20))", "print('spoke')"),
    flooding(
        "prints of a line each",
        "for n in range(20_000): print(n)",
        "print('spoke')",
    ),
    flooding(
        "text that moves the cursor about",
        many("stream", "{'name': 'stdout', 'text': '\\x1b[4096C\\x1b[23Ax\\n' * 100}", 200),
    ),
    flooding("escapes that never end", many("stream", "{'name': 'stdout', 'text': '\\x1b]' + 'x' * 2000}", 5000)),
    flooding("5,000 displays", many("display_data", HTML, 5_000)),
    flooding(
        "20 displays of 4 MiB", many("display_data", "{'data': {'text/html': 'x' * (4 << 20)}, 'metadata': {}}", 20)
    ),
    flooding("a display of 40 MiB", "from IPython.display import HTML; HTML('x' * (40 << 20))", status="ok"),
    flooding(
        "a storm of updates",
        "shown = {'data': {'text/plain': 'x' * 100}, 'metadata': {}, 'transient': {'display_id': 'd'}}\n"
        "flood('display_data', [shown] * 300); flood('update_display_data', [shown] * 2_000)",
    ),
    flooding("a storm of clear_output", many("clear_output", "{'wait': n % 2 == 0}", 20_000)),
    flooding(
        "errors by the thousand", many("error", "{'ename': 'E', 'evalue': 'v', 'traceback': ['t' * 1000] * 20}", 2_000)
    ),
    flooding("an exception of 32 MiB", "raise ValueError('x' * (32 << 20))", status="error"),
    flooding("a recursion without end", "def f(): f()\nf()", status="error"),
    flooding(
        "a traceback of 100,000 lines",
        "say('iopub', 'error', {'ename': 'E', 'evalue': 'v', 'traceback': ['t' * 50] * 100_000})",
    ),
    flooding(
        "JSON of a million values",
        "say('iopub', 'display_data', {'data': {'application/json': [0] * 1_000_000}, 'metadata': {}})",
    ),
    flooding(
        "comms opened and written to", many("comm_open", "{'comm_id': str(n), 'target_name': 't', 'data': {}}", 10_000)
    ),
    flooding("comm messages of 4 MiB", many("comm_msg", "{'comm_id': 'c', 'data': {'x': 'x' * (4 << 20)}}", 20)),
    flooding(
        "states that change for ever", many("status", "{'execution_state': ('busy', 'idle', 'odd')[n % 3]}", 20_000)
    ),
    flooding("a million empty commands", "put('iopub', b'\\x04\\x00' * 1_000_000)"),
    flooding(
        "replies by the thousand", many("execute_reply", "{'status': 'ok', 'execution_count': 1}", 10_000, "shell")
    ),
    flooding("questions by the thousand", many("input_request", "{'prompt': 'x' * 1000}", 10_000, "stdin")),
    flooding(
        "its own descriptors written full",
        "for _ in range(2_000): os.write(1, b'x' * 4096)",
        "print('spoke')",
    ),
]

FAMILIES = {"bytes": bytes_, "contents": contents, "strangers": strangers, "ends": ends, "floods": floods}
