"""States of the language and its standard library: objects, and what hangs on the interpreter."""

from states import Case

CASES = [
    Case(
        "identities",
        "a = []; same = [a, a, {'k': a}]; where = id(a)",
        "same[0] = list(a); a.append(1)",
        "same[0] is same[1] is same[2]['k'] is a and id(a) == where and a == []",
    ),
    Case(
        "closures",
        ("def counter(n=0):\n    def up():\n        nonlocal n; n += 1; return n\n    return up\nup = counter(); up()"),
        "up()",
        "up() == 2",
    ),
    Case(
        "a generator in the middle",
        "g = (n for n in range(9)); next(g)",
        "list(g)",
        "next(g) == 1",
    ),
    Case(
        "a generator inside try and finally",
        (
            "said = []\n"
            "def f():\n"
            "    try:\n"
            "        yield 1; yield 2\n"
            "    finally:\n"
            "        said.append('ended')\n"
            "g = f(); next(g)"
        ),
        "g.close()",
        "said == [] and next(g) == 2",
    ),
    Case(
        "a coroutine that is suspended",
        (
            "import types\n"
            "@types.coroutine\n"
            "def wait(): return (yield 'asked')\n"
            "async def f(): return await wait() + 1\n"
            "c = f(); c.send(None)"
        ),
        "c.close()",
        ("try:\n    c.send(41); answer = None\nexcept StopIteration as end:\n    answer = end.value\nanswer == 42"),
    ),
    Case(
        "an asynchronous generator in the middle",
        (
            "async def f():\n"
            "    yield 1\n"
            "    yield 2\n"
            "g = f()\n"
            "def step():\n"
            "    try: g.asend(None).send(None)\n"
            "    except StopIteration as end: return end.value\n"
            "step()"
        ),
        "step()",
        "step() == 2",
    ),
    Case(
        "itertools in the middle",
        (
            "import itertools as i; c = i.count(5); next(c); y = i.cycle('ab'); next(y)\n"
            "one, two = i.tee(range(9)); next(one)"
        ),
        "next(c); next(y); next(one)",
        "(next(c), next(y), next(one), next(two)) == (6, 'b', 1, 0)",
    ),
    Case(
        "an iterator of a dictionary",
        "d = dict(a=1, b=2, c=3); i = iter(d.items()); next(i)",
        "d['d'] = 4",
        "next(i) == ('b', 2)",
    ),
    Case(
        "a reader of CSV in the middle",
        "import csv, io; r = csv.reader(io.StringIO('a,b\\nc,d\\n')); next(r)",
        "next(r)",
        "next(r) == ['c', 'd'] and r.line_num == 2",
    ),
    Case(
        "weak references and their callbacks",
        (
            "import weakref\n"
            "class C: pass\n"
            "o = C(); gone = []; w = weakref.ref(o, gone.append); d = weakref.WeakValueDictionary(o=o)"
        ),
        "del o",
        "w() is o is d['o'] and gone == []",
    ),
    Case(
        "a finalizer that has not run",
        ("import weakref\nclass C: pass\no = C(); said = []; f = weakref.finalize(o, said.append, 'ended')"),
        "del o",
        "alive = f.alive and said == []; del o; alive and said == ['ended']",
    ),
    Case(
        "garbage that has not been collected",
        (
            "import gc; gc.disable(); said = []\n"
            "class C:\n"
            "    def __del__(self): said.append('ended')\n"
            "o = C(); o.o = o; del o"
        ),
        "gc.collect(); gc.enable()",
        ("before = list(said); off = not gc.isenabled(); gc.collect()\noff and (before, said) == ([], ['ended'])"),
    ),
    Case(
        "settings of the garbage collector",
        "import gc; gc.set_threshold(701, 11, 12); heard = []; gc.callbacks.append(heard.append)",
        "gc.set_threshold(700, 10, 10); gc.callbacks.remove(heard.append)",
        "gc.get_threshold() == (701, 11, 12) and heard.append in gc.callbacks",
    ),
    Case(
        "a cache of results",
        ("import functools\n@functools.lru_cache\ndef f(n): return [n]\nkept = f(1); f(1)"),
        "f.cache_clear()",
        "f.cache_info().hits == 1 and f(1) is kept",
    ),
    Case(
        "a property that is kept",
        (
            "import functools, itertools\n"
            "n = itertools.count()\n"
            "class C:\n"
            "    @functools.cached_property\n"
            "    def p(self): return next(n)\n"
            "c = C(); c.p"
        ),
        "del c.p; c.p",
        "c.p == 0 and next(n) == 1",
    ),
    Case(
        "dispatch by type",
        ("import functools\n@functools.singledispatch\ndef f(v): return 'any'\nf.register(int, lambda v: 'int')"),
        "f.register(int, lambda v: 'other'); f.register(str, lambda v: 'str')",
        "(f(1), f('')) == ('int', 'any')",
    ),
    Case(
        "a class that is defined anew",
        ("class C:\n    def f(self): return 'old'\no = C()"),
        ("class C:\n    def f(self): return 'new'"),
        "isinstance(o, C) and C().f() == 'old'",
    ),
    Case(
        "a method that is replaced",
        ("class C:\n    def f(self): return 'old'\no = C()"),
        "C.f = lambda self: 'new'",
        "o.f() == 'old'",
    ),
    Case(
        "a patched module",
        "import textwrap; textwrap.extra = 1",
        "del textwrap.extra",
        "textwrap.extra == 1",
    ),
    Case(
        "a patch that is started",
        (
            "import unittest.mock, textwrap; p = unittest.mock.patch('textwrap.dedent', return_value='mocked')\n"
            "p.start()"
        ),
        "p.stop()",
        "textwrap.dedent('x') == 'mocked' and (p.stop(), textwrap.dedent('x'))[1] == 'x'",
    ),
    Case(
        "a builtin of one's own",
        "import builtins; builtins.shout = 'a'",
        "builtins.shout = 'b'",
        "shout == 'a'",
    ),
    Case(
        "abstract classes' registers",
        ("import abc\nclass A(abc.ABC): pass\nA.register(int); isinstance('', A)"),
        "A.register(str)",
        "isinstance(1, A) and not isinstance('', A)",
    ),
    Case(
        "subclasses that are known",
        (
            "class Base:\n"
            "    known = []\n"
            "    def __init_subclass__(cls): Base.known.append(cls.__name__)\n"
            "class One(Base): pass"
        ),
        "class Two(Base): pass",
        "Base.known == ['One'] == [c.__name__ for c in Base.__subclasses__()]",
    ),
    Case(
        "dataclasses",
        ("import dataclasses\n@dataclasses.dataclass(frozen=True, slots=True)\nclass P:\n    x: int = 1\np = P(2)"),
        "object.__setattr__(p, 'x', 3)",
        "p == P(2) and dataclasses.replace(p, x=1) == P()",
    ),
    Case(
        "enumerations",
        ("import enum\nclass Colour(enum.Enum):\n    RED = 1\n    ROUGE = 1\nred = Colour(1)"),
        "Colour._member_map_.pop('ROUGE')",
        "Colour['ROUGE'] is Colour.RED is red",
    ),
    Case(
        "an exception that is held, with its frames",
        ("def f():\n    inner = [1]\n    raise ValueError('v')\ntry: f()\nexcept ValueError as e: held = e"),
        "held.__traceback__.tb_next.tb_frame.clear(); held = held.with_traceback(None)",
        "held.__traceback__.tb_next.tb_frame.f_locals['inner'] == [1]",
    ),
    Case(
        "a group of exceptions, with notes",
        "g = ExceptionGroup('g', [ValueError(1), OSError(2)]); g.exceptions[0].add_note('n')",
        "g.exceptions[0].add_note('more')",
        "g.split(ValueError)[0].exceptions[0].__notes__ == ['n']",
    ),
    Case(
        "a context manager that is entered",
        (
            "import contextlib; said = []\n"
            "@contextlib.contextmanager\n"
            "def m():\n"
            "    yield said.append('in')\n"
            "    said.append('out')\n"
            "s = contextlib.ExitStack(); s.enter_context(m())"
        ),
        "s.close()",
        "before = list(said); s.close(); (before, said) == (['in'], ['in', 'out'])",
    ),
    Case(
        "a context variable and its token",
        "import contextvars; v = contextvars.ContextVar('v'); v.set('a'); token = v.set('b')",
        "v.reset(token)",
        "v.get() == 'b' and (v.reset(token), v.get())[1] == 'a'",
    ),
    Case(
        "the context of decimals",
        "import decimal; decimal.getcontext().prec = 5",
        "decimal.getcontext().prec = 9",
        "str(1 / decimal.Decimal(3)) == '0.33333'",
    ),
    Case(
        "what a thread has of its own",
        "import threading; l = threading.local(); l.x = 1",
        "l.x = 2",
        "l.x == 1",
    ),
    Case(
        "locks that are held",
        (
            "import threading; l = threading.Lock(); l.acquire(); r = threading.RLock(); r.acquire()\n"
            "s = threading.Semaphore(3)"
        ),
        "l.release(); r.release(); s.acquire()",
        "r.release(); s._value == 3 and l.locked()",
    ),
    Case(
        "queues and futures",
        (
            "import queue, asyncio, concurrent.futures as c; q = queue.Queue(); q.put(1); a = asyncio.Queue()\n"
            "a.put_nowait(2)\n"
            "f = c.Future(); called = []; f.add_done_callback(called.append)"
        ),
        "q.get(); a.get_nowait(); f.set_result(1)",
        "f.set_result(3); (q.get(), a.get_nowait(), f.result(), called) == (1, 2, 3, [f])",
    ),
    Case(
        "the same random numbers",
        "import random; random.seed(7); own = random.Random(8)",
        "random.random(); own.random()",
        "(random.random(), own.random()) == (random.Random(7).random(), random.Random(8).random())",
    ),
    Case(
        "hashes",
        "h = hash('text'); s = {'a', 'b', 'c'}; order = list(s)",
        "h = 0",
        "hash('text') == h and list(s) == order",
    ),
    Case(
        "a view of bytes",
        "b = bytearray(b'abc'); m = memoryview(b)[1:]",
        "m[0] = 0; m.release()",
        "b[1] == 98 and (m.__setitem__(0, 99), b)[1] == b'acc'",
    ),
    Case(
        "memory of ctypes, and a callback",
        (
            "import ctypes; b = ctypes.create_string_buffer(b'abc'); p = ctypes.pointer(b); n = []\n"
            "f = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: n.append(1) or len(n))"
        ),
        "b.value = b'xyz'; f()",
        "p.contents.value == b'abc' and f() == 1 and ctypes.addressof(p.contents) == ctypes.addressof(b)",
    ),
    Case(
        "patterns that are cached",
        "import re; p = re.compile('ab+c?d')",
        "re.purge()",
        "re.compile('ab+c?d') is p",
    ),
    Case(
        "order of dictionaries and queues",
        (
            "import collections as c; o = c.OrderedDict(a=1, b=2); o.move_to_end('a')\n"
            "d = c.deque([1, 2, 3], 3); n = c.Counter('aab')"
        ),
        "o.move_to_end('b'); d.append(4); n.update('b')",
        "(list(o), list(d), n.most_common(1)) == (['b', 'a'], [1, 2, 3], [('a', 2)])",
    ),
    Case(
        "how objects are pickled",
        ("import copyreg, pickle\nclass C: pass\ncopyreg.pickle(C, lambda c: (str, ('pickled',)))"),
        "copyreg.dispatch_table.pop(C)",
        "pickle.loads(pickle.dumps(C())) == 'pickled'",
    ),
    Case(
        "handlers of codecs",
        "import codecs; codecs.register_error('own', lambda e: ('?', e.end))",
        "codecs.register_error('own', lambda e: ('!', e.end))",
        "'é'.encode('ascii', 'own') == b'?'",
    ),
    Case(
        "the depth of recursion",
        "import sys; sys.setrecursionlimit(2345)",
        "sys.setrecursionlimit(2000)",
        "sys.getrecursionlimit() == 2345",
    ),
    Case(
        "settings of the interpreter",
        "import sys; sys.setswitchinterval(0.004); sys.set_int_max_str_digits(5000)",
        "sys.setswitchinterval(0.005); sys.set_int_max_str_digits(4300)",
        "(round(sys.getswitchinterval(), 4), sys.get_int_max_str_digits()) == (0.004, 5000)",
    ),
    Case(
        "a profiling hook",
        ("import sys\ndef hook(*_): pass\nsys.setprofile(hook)"),
        "sys.setprofile(None)",
        "found = sys.getprofile(); sys.setprofile(None); found is hook",
    ),
    Case(
        "a tracing hook",
        ("import sys\ndef hook(*_): pass\nsys.settrace(hook)"),
        "sys.settrace(None)",
        "found = sys.gettrace(); sys.settrace(None); found is hook",
    ),
    Case(
        "hooks of errors",
        "import sys, threading; mine = lambda *_: None; threading.excepthook = sys.unraisablehook = mine",
        "threading.excepthook = threading.__excepthook__; sys.unraisablehook = sys.__unraisablehook__",
        "threading.excepthook is sys.unraisablehook is mine",
    ),
    Case(
        "traces of memory",
        "import tracemalloc; tracemalloc.start(); kept = bytearray(10_000)",
        "tracemalloc.stop()",
        "found = tracemalloc.get_object_traceback(kept) is not None; tracemalloc.stop(); found",
    ),
    Case(
        "modules that are imported",
        "import sys, colorsys; m = colorsys",
        "del sys.modules['colorsys']",
        "__import__('colorsys') is m",
    ),
    Case(
        "modules that were not imported",
        "import sys; sys.modules.pop('this_is_new', None)",
        "import types; sys.modules['this_is_new'] = types.ModuleType('this_is_new')",
        "'this_is_new' not in sys.modules",
    ),
    Case(
        "a module of the workspace, as it was read",
        (
            "import sys, importlib; open('own_module.py', 'w').write('value = 1'); sys.path.insert(0, '.')\n"
            "sys.dont_write_bytecode = True; import own_module"
        ),
        "open('own_module.py', 'w').write('value = 2'); importlib.reload(own_module)",
        "own_module.value == 1 == importlib.reload(own_module).value",
        files=True,
    ),
    Case(
        "paths and hooks of imports",
        (
            "import sys; sys.path.append('/own'); finder = type('F', (), {'find_spec': lambda *_: None})()\n"
            "sys.meta_path.append(finder)"
        ),
        "sys.path.remove('/own'); sys.meta_path.remove(finder)",
        "'/own' in sys.path and finder in sys.meta_path",
    ),
    Case(
        "time zones",
        ("import os, time, zoneinfo; z = zoneinfo.ZoneInfo('Europe/Berlin'); os.environ['TZ'] = 'XYZ-3'\ntime.tzset()"),
        "zoneinfo.ZoneInfo.clear_cache(); os.environ['TZ'] = 'UTC'; time.tzset()",
        "zoneinfo.ZoneInfo('Europe/Berlin') is z and time.tzname[0] == 'XYZ' == time.strftime('%Z')",
    ),
    Case(
        "moments with a time zone",
        (
            "import datetime as d, zoneinfo\n"
            "t = d.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin'))"
        ),
        "t = t.replace(fold=0)",
        "t.utcoffset() == d.timedelta(hours=1)",
    ),
    Case(
        "the locale",
        "import locale; locale.setlocale(locale.LC_TIME, 'C.UTF-8')",
        "locale.setlocale(locale.LC_TIME, 'C')",
        "locale.setlocale(locale.LC_TIME) == 'C.UTF-8'",
    ),
    Case(
        "filters of warnings",
        "import warnings; warnings.filterwarnings('error', 'own warning')",
        "warnings.resetwarnings()",
        ("try:\n    warnings.warn('own warning'); raised = False\nexcept UserWarning:\n    raised = True\nraised"),
    ),
    Case(
        "handlers and levels of a log",
        (
            "import io, logging; to = io.StringIO(); l = logging.getLogger('own'); l.propagate = False\n"
            "l.setLevel(20)\n"
            "l.addHandler(logging.StreamHandler(to)); l.addFilter(lambda r: r.msg != 'no'); l.info('one')"
        ),
        "l.handlers.clear(); l.filters.clear(); l.setLevel(40)",
        "l.info('no'); l.info('two'); to.getvalue() == 'one\\ntwo\\n'",
    ),
    Case(
        "what is to be done at the end",
        "import atexit, os; child = False; f = lambda: child and os._exit(7); atexit.register(f)",
        "atexit.unregister(f)",
        (
            "pid = os.fork()\n"
            "if pid == 0:\n    child = True; atexit._run_exitfuncs(); os._exit(0)\n"
            "os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7"
        ),
    ),
    Case(
        "standard output that leads elsewhere",
        ("import contextlib, io; to = io.StringIO(); r = contextlib.redirect_stdout(to); r.__enter__()\nprint('in')"),
        "r.__exit__(None, None, None)",
        "print('still'); r.__exit__(None, None, None); said = to.getvalue().split(); (said[0], said[-1]) == ('in', 'still')",
    ),
]
