"""States of IPython: what a notebook leans on."""

from states import Case

CASES = [
    Case(
        "the last result",
        ("ip = get_ipython()\nh = 1"),
        "h = 2",
        "ip.user_ns['_'] == 'made'",
    ),
    Case(
        "results",
        ("ip = get_ipython()\nseen = set(ip.user_ns['Out'])"),
        "seen.add(-1)",
        "-1 not in seen and list(ip.user_ns['Out'].values())[-1] == 'made'",
    ),
    Case(
        "inputs and their history",
        ("ip = get_ipython()\nn = len(ip.user_ns['In'])"),
        "ip.user_ns['In'].append('added'); ip.user_ns['_i'] = 'x'; ip.user_ns['_'] = 'x'",
        "'added' not in ip.user_ns['In'] and ip.user_ns['_i'].endswith(\"'made'\")",
    ),
    Case(
        "a name of the notebook that is made, changed, removed",
        ("ip = get_ipython()\nip.user_ns.update(stays=1, goes=2)"),
        "ip.user_ns.update(stays=3, new=4); del ip.user_ns['goes']",
        "(ip.user_ns['stays'], ip.user_ns['goes'], 'new' in ip.user_ns) == (1, 2, False)",
    ),
    Case(
        "a magic of one's own",
        ("ip = get_ipython()\nip.register_magic_function(lambda line: line + '!', magic_name='own')"),
        "ip.register_magic_function(lambda line: line + '?', magic_name='own')",
        "ip.run_line_magic('own', 'a') == 'a!'",
    ),
    Case(
        "a magic for cells",
        ("ip = get_ipython()\nip.register_magic_function(lambda line, cell: cell, 'cell', 'owncell')"),
        "del ip.magics_manager.magics['cell']['owncell']",
        "ip.run_cell_magic('owncell', '', 'in') == 'in'",
    ),
    Case(
        "an alias",
        (
            "ip = get_ipython()\n"
            "ip.run_line_magic('alias', 'own_alias echo one'); kept = ip.alias_manager.get_alias('own_alias')"
        ),
        "ip.alias_manager.define_alias('own_alias', 'echo two')",
        "ip.alias_manager.retrieve_alias('own_alias') == 'echo one'",
    ),
    Case(
        "autoreload",
        (
            "ip = get_ipython()\n"
            "import sys; open('reloaded.py', 'w').write('v = 1\\n'); sys.path.insert(0, '.')\n"
            "sys.dont_write_bytecode = True\n"
            "ip.run_line_magic('load_ext', 'autoreload'); ip.run_line_magic('autoreload', '2'); import reloaded"
        ),
        (
            "import os, time; open('reloaded.py', 'w').write('v = 2\\n'); os.utime('reloaded.py', (9e8, 9e8))\n"
            "os.utime('reloaded.py')\n"
            "import importlib; importlib.reload(reloaded); ip.run_line_magic('autoreload', '0')"
        ),
        (
            "reloader = [m for m in ip.events.callbacks['pre_run_cell'] if 'autoreload' in repr(m)]\n"
            "open('reloaded.py').read() == 'v = 1\\n' and reloaded.v == 1 and len(reloader) == 1 and "
            "reloader[0].__self__._reloader.enabled"
        ),
        files=True,
    ),
    Case(
        "callbacks on events",
        ("ip = get_ipython()\nheard = []; f = lambda *_: heard.append(1); ip.events.register('post_run_cell', f)"),
        "ip.events.unregister('post_run_cell', f)",
        "f in ip.events.callbacks['post_run_cell']",
    ),
    Case(
        "changes to the input",
        (
            "ip = get_ipython()\n"
            "t = lambda lines: [line.replace('£', '$') for line in lines]; ip.input_transformers_post.append(t)"
        ),
        "ip.input_transformers_post.remove(t)",
        "ip.transform_cell(\"'£'\").strip() == \"'$'\"",
    ),
    Case(
        "changes to the syntax tree",
        (
            "ip = get_ipython()\n"
            "import ast\n"
            "class T(ast.NodeTransformer):\n"
            "    def visit_Constant(self, n):\n"
            "        return ast.Constant(43) if n.value == 4242 else n\n"
            "t = T(); ip.ast_transformers.append(t)"
        ),
        "ip.ast_transformers.remove(t)",
        "(ip.run_cell('made_of_tree = 4242'), ip.user_ns['made_of_tree'])[1] == 43",
    ),
    Case(
        "how a type is shown",
        (
            "ip = get_ipython()\n"
            "class C: pass\n"
            "ip.display_formatter.formatters['text/html'].for_type(C, lambda c: '<b>own</b>')"
        ),
        "ip.display_formatter.formatters['text/html'].pop(C)",
        "ip.display_formatter.format(C())[0]['text/html'] == '<b>own</b>'",
    ),
    Case(
        "precision of numbers that are shown",
        ("ip = get_ipython()\nip.run_line_magic('precision', '3')"),
        "ip.run_line_magic('precision', '%r')",
        "ip.display_formatter.formatters['text/plain'](1 / 3) == '0.333'",
    ),
    Case(
        "how errors are shown",
        ("ip = get_ipython()\nip.run_line_magic('xmode', 'Minimal')"),
        "ip.run_line_magic('xmode', 'Context')",
        "ip.InteractiveTB.mode == 'Minimal'",
    ),
    Case(
        "a handler of errors",
        (
            "ip = get_ipython()\n"
            "class E(Exception): pass\n"
            "seen = []\n"
            "ip.set_custom_exc((E,), lambda *a, **k: seen.append(1))"
        ),
        "ip.set_custom_exc((), None)",
        "ip.custom_exceptions == (E,)",
    ),
    Case(
        "a macro",
        ("ip = get_ipython()\nip.define_macro('m', 'in_macro = 1')"),
        "ip.define_macro('m', 'in_macro = 2')",
        "ip.user_ns['m'].value.strip() == 'in_macro = 1'",
    ),
    Case(
        "output that is captured",
        ("ip = get_ipython()\nip.run_cell_magic('capture', 'caught', 'print(1)')"),
        "ip.run_cell_magic('capture', 'caught', 'print(2)')",
        "ip.user_ns['caught'].stdout == '1\\n'",
    ),
    Case(
        "traits that are configured",
        (
            "ip = get_ipython()\n"
            "ip.run_line_magic('config', 'IPCompleter.greedy = True')\n"
            "ip.run_line_magic('config', \"InteractiveShell.ast_node_interactivity = 'last'\")"
        ),
        (
            "ip.run_line_magic('config', 'IPCompleter.greedy = False')\n"
            "ip.run_line_magic('config', \"InteractiveShell.ast_node_interactivity = 'last_expr'\")"
        ),
        (
            "found = ip.Completer.greedy, ip.ast_node_interactivity; ip.ast_node_interactivity = 'last_expr'\n"
            "found == (True, 'last')"
        ),
    ),
    Case(
        "directories that were gone to",
        (
            "ip = get_ipython()\n"
            "import os; os.makedirs('cd', exist_ok=True); here = os.getcwd(); ip.run_line_magic('cd', '-q cd')\n"
            "ip.run_line_magic('cd', '-q ' + here)"
        ),
        "ip.history_manager.dir_hist.append('/other')",
        "ip.history_manager.dir_hist[-1] != '/other' and str(ip.user_ns['_dh'][-2]).endswith('/cd')",
    ),
    Case(
        "an extension that is loaded",
        (
            "ip = get_ipython()\n"
            "open('own_ext.py', 'w').write('def load_ipython_extension(ip): ip.own_ext = 1\\ndef "
            "unload_ipython_extension(ip): del ip.own_ext')\n"
            "import sys; sys.path.insert(0, '.'); ip.run_line_magic('load_ext', 'own_ext')"
        ),
        "ip.run_line_magic('unload_ext', 'own_ext')",
        "ip.own_ext == 1 and 'own_ext' in ip.extension_manager.loaded",
    ),
]

ENDS = [
    Case(
        "a comm: the page's end is another kernel's",
        "import comm; c = comm.create_comm(target_name='own'); manager = comm.get_comm_manager()",
        "",
        "c.comm_id not in manager.comms",
        ends=True,
    ),
]
