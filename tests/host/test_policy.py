"""Code looked at before it runs: what is no Python is told, what is refused is refused, the rest is the kernel's."""

import sys

import pytest

from cellblock.host.policy import CodeRules, Refusal, judge, same_grammar, speaks_own_syntax

NO_RULES = CodeRules()
RULES = CodeRules(modules=("socket", "urllib.request"), calls=("os.system", "eval"), magics=("!", "bash"))


@pytest.mark.parametrize(
    "code",
    [
        "1+1",
        "",
        "%matplotlib inline",
        "%%bash\nls | grep (",
        "%%javascript\nlet x = {",
        "!ls -la | wc",
        "files = !ls",
        "df?",
        "?print",
        "%time x = [1, 2]",
        "await something()",
        "async for x in y:\n    print(x)",
        "async with a as b: pass",
        "x: int = 1",
        "match x:\n    case 1: pass",
        "'\\ud800'",
        "    x = 1\n    y = 2",
    ],
)
def test_what_ipython_runs_is_let_through(code: str) -> None:
    assert judge(code, NO_RULES, same_python=True) is None


@pytest.mark.parametrize(
    ("code", "line", "offset"),
    [("def f(:\n  pass", 1, 7), ("x = (1,\n", 1, 5), ("a = 1\nb = = 2", 2, 5), ("return 1", 1, 1)],
)
def test_a_syntax_error_has_its_place(code: str, line: int, offset: int) -> None:
    problem = judge(code, NO_RULES, same_python=True)
    assert isinstance(problem, SyntaxError)
    assert (problem.lineno, problem.offset) == (line, offset)
    assert problem.text


def test_another_pythons_grammar_is_for_that_python_to_judge() -> None:
    assert judge("def f(:", NO_RULES, same_python=False) is None
    assert same_grammar(".".join(map(str, sys.version_info[:3])))
    assert not same_grammar("3.2.1")
    assert not same_grammar("")


@pytest.mark.parametrize(
    "code",
    ["(" * 300, "-" * 100_000 + "1", "[" * 5000 + "]" * 5000, "a" + ".b" * 50_000, "x=" + "+".join(["1"] * 20_000)],
    ids=["parentheses", "signs", "lists", "attributes", "sum"],
)
def test_code_nested_too_deep_ends_in_a_verdict_not_in_a_crash(code: str) -> None:
    assert judge(code, RULES, same_python=True) is None or isinstance(judge(code, RULES, same_python=True), SyntaxError)


def test_code_too_large_to_be_looked_at_is_the_kernels() -> None:
    assert judge("x = (\n" + "1,\n" * 200_000, NO_RULES, same_python=True) is None


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import socket", "socket"),
        ("import socket as s, os", "socket"),
        ("from socket import create_connection", "socket"),
        ("import urllib.request", "urllib.request"),
        ("from urllib import request", "urllib.request"),
        ("__import__('socket')", "socket"),
        ("import importlib\nimportlib.import_module('socket')", "socket"),
        ("import os\nos.system('ls')", "os.system"),
        ("import os as o\no.system('ls')", "os.system"),
        ("from os import system as run\nrun('ls')", "os.system"),
        ("def f():\n    return eval('1')", "eval"),
        ("!ls", "!"),
        ("x = !ls", "!"),
        ("!!ls", "!"),
        ("%%bash\nls", "bash"),
        ("%bash ls", "bash"),
        ("%time import socket", "socket"),
        ("%%timeit\nimport socket", "socket"),
    ],
)
def test_what_the_operator_forbids_is_refused_with_the_rule(code: str, rule: str) -> None:
    verdict = judge(code, RULES, same_python=True)
    assert isinstance(verdict, Refusal)
    assert verdict.rule == rule
    assert rule.removeprefix("!") in verdict.reason


@pytest.mark.parametrize(
    "code",
    ["import os", "import sockets", "os.systems()", "socket = 1", "import urllib.parse", "%ls", "self.eval('x')"],
)
def test_what_only_looks_like_it_is_let_through(code: str) -> None:
    assert judge(code, RULES, same_python=True) is None


def test_rules_hold_in_an_environment_of_another_python_too() -> None:
    assert isinstance(judge("import socket", RULES, same_python=False), Refusal)


def test_code_that_may_teach_the_kernel_a_syntax_is_noticed() -> None:
    assert speaks_own_syntax("get_ipython().input_transformers_post.append(f)")
    assert speaks_own_syntax("%load_ext autoreload")
    assert not speaks_own_syntax("print(1)")
