"""Code of ours that runs silently in a session's kernel: it leaves no name behind, and bounds what it shows."""

VARIABLES = r"""
def variables():
    import json, sys, types
    from itertools import islice
    shell = get_ipython()
    hidden = set(shell.user_ns_hidden) | {"In", "Out", "exit", "quit", "get_ipython", "open"}
    plain = (bool, int, float, complex, str, bytes, type(None))
    sized = (list, tuple, dict, set, frozenset, str, bytes, bytearray, range)
    def short(text, limit=200):
        return text if len(text) <= limit else text[:limit - 1] + "…"
    def literal(value, depth=2):
        kind = type(value)
        if kind is int and value.bit_length() > 4000:
            return "int of %d bits" % value.bit_length()
        if kind in (str, bytes):
            return short(repr(value[:200]))
        if kind in plain:
            return repr(value)
        if depth and kind in (list, tuple, set, frozenset):
            items = [literal(item, depth - 1) for item in islice(value, 10)] + ["…"] * (len(value) > 10)
            ends = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}[kind]
            return short(ends[0] + ", ".join(items) + ends[1])
        if depth and kind is dict:
            items = ["%s: %s" % (literal(k, 0), literal(v, depth - 1)) for k, v in islice(value.items(), 10)]
            return short("{" + ", ".join(items + ["…"] * (len(value) > 10)) + "}")
        return "<%s>" % kind.__name__
    def known(value):
        module = type(value).__module__ or ""
        return module.partition(".")[0] in ("numpy", "pandas") and module.partition(".")[0] in sys.modules
    def describe(name, value):
        kind = type(value)
        shape = size = None
        preview = ""
        try:
            if known(value):
                if isinstance(getattr(value, "shape", None), tuple):
                    shape = [int(n) for n in value.shape]
                if kind.__name__ == "DataFrame":
                    size = int(value.memory_usage(deep=False).sum())
                    preview = ", ".join(str(c) for c in islice(value.columns, 20))
                elif kind.__name__ in ("Series", "Index", "RangeIndex", "DatetimeIndex"):
                    size = int(value.nbytes)
                    preview = str(value.dtype) + ": " + ", ".join(str(v) for v in islice(value, 8))
                elif hasattr(value, "nbytes"):
                    size = int(value.nbytes)
                    flat = value.flat if hasattr(value, "flat") else ()
                    preview = str(getattr(value, "dtype", "")) + ": " + ", ".join(str(v) for v in islice(flat, 8))
                else:
                    preview = "<%s>" % kind.__name__
            elif kind in sized:
                shape = [len(value)]
                size = sys.getsizeof(value)
                preview = literal(value)
            elif isinstance(value, (types.FunctionType, type)):
                preview = "%s.%s" % (value.__module__, value.__qualname__)
            else:
                size = sys.getsizeof(value) if kind in plain else None
                preview = literal(value)
        except Exception as problem:
            preview = "<%s>" % type(problem).__name__
        kind = short("%s.%s" % (kind.__module__, kind.__qualname__) if kind.__module__ != "builtins" else kind.__name__)
        return {"name": short(name), "type": kind, "shape": shape, "size": size, "preview": short(preview)}
    found = []
    for name, value in list(shell.user_ns.items()):
        if isinstance(name, str) and not name.startswith("_") and name not in hidden:
            if not isinstance(value, types.ModuleType):
                found.append((name, value))
    return json.dumps([describe(name, value) for name, value in sorted(found, key=lambda each: each[0])[:200]])
"""

LOOK = r"""
def named(name):
    return get_ipython().user_ns.get(name, look)
def look(value, offset, limit, sort, descending, columns=100, width=200, text=20000):
    import json, sys
    if value is look:
        return "null"
    def short(item, limit=width):
        try:
            said = item if isinstance(item, str) else str(item)
        except (Exception, SystemExit) as problem:
            said = "<%s>" % type(problem).__name__
        said = said.encode("utf-8", "replace").decode()
        return said if len(said) <= limit else said[:limit - 1] + "…"
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.Series):
        value = value.to_frame("" if value.name is None else value.name)
    if pandas is None or not isinstance(value, pandas.DataFrame):
        try:
            said = value if isinstance(value, str) else repr(value)
        except (Exception, SystemExit) as problem:
            said = "<%s>" % type(problem).__name__
        return json.dumps({"kind": "text", "text": short(said, text)})
    total, wide = value.shape
    frame = value.iloc[:, :columns]
    if sort is not None and 0 <= sort < frame.shape[1]:
        column = frame.iloc[:, sort].reset_index(drop=True)
        try:
            order = column.sort_values(ascending=not descending, kind="stable").index
        except TypeError:
            order = column.astype(str).sort_values(ascending=not descending, kind="stable").index
        frame = frame.iloc[order]
    frame = frame.iloc[offset:offset + limit]
    parts = [frame.iloc[:, at] for at in range(frame.shape[1])]
    told = [[None if missing else short(item) for item, missing in zip(part, part.isna())] for part in parts]
    return json.dumps({
        "kind": "table",
        "total": total,
        "columns_total": wide,
        "columns": [
            {"name": short(column), "type": short(part.dtype),
             "numeric": bool(pandas.api.types.is_numeric_dtype(part.dtype) and not pandas.api.types.is_bool_dtype(part.dtype))}
            for column, part in zip(frame.columns, parts)
        ],
        "index": [short(item) for item in frame.index],
        "rows": [list(row) for row in zip(*told)],
    })
"""

SHOWN = r"""
def shown(key, mime):
    shell = get_ipython()
    held = getattr(shell, "shown", None)
    value = None if held is None else held.get(key)
    if value is None:
        return None
    again = shell.display_formatter.formatters[mime](value)
    return value if again is not None and held.key_of(again) == key else None
"""

DRAWING = r"""
def drawing(figure, most=1000000):
    import base64, json, zlib
    from IPython.core.pylabtools import print_figure
    if figure is None:
        return "null"
    packed = base64.b64encode(zlib.compress(print_figure(figure, "svg").encode())).decode()
    return json.dumps(packed if len(packed) <= most else "")
"""


def silently(source: str, call: str) -> str:
    """Code that runs `source` in a namespace of its own and prints what `call` gives there."""
    scope = '{"get_ipython": get_ipython, "__name__": "cellblock"}'
    return f"print((lambda scope: (exec({source!r}, scope), eval({call!r}, scope))[1])({scope}))"
