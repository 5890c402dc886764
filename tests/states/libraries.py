"""States of the libraries that people use: arrays, tables, models, figures."""

from states import Case

CASES = [
    Case(
        "views of an array",
        "import numpy as np; a = np.arange(9); v = a[2:5]; s = a.reshape(3, 3).T",
        "v[0] = 99; s[0, 0] = 98",
        "(v[0], s[0, 0], v.base is a) == (2, 0, True) and (v.__setitem__(0, 5), a[2])[1] == 5",
    ),
    Case(
        "an array without room for a copy",
        "import numpy as np; a = np.ones(4_000_000)",
        "a *= 2",
        "a.sum() == 4_000_000",
    ),
    Case(
        "structures, masks and objects in arrays",
        (
            "import numpy as np; s = np.zeros(2, 'i4,U3'); m = np.ma.masked_equal([1, 2, 3], 2)\n"
            "o = np.array([s, None], object)"
        ),
        "s['f0'] = 7; m.mask = False; o[1] = 1",
        "s['f0'].sum() == 0 and m.sum() == 4 and o[0] is s and o[1] is None",
    ),
    Case(
        "an array in a file",
        "import numpy as np; m = np.memmap('a.dat', 'f8', 'w+', shape=9); m[:] = 1; m.flush()",
        "m[:] = 2; m.flush()",
        "m.sum() == 9 == np.fromfile('a.dat').sum()",
        files=True,
    ),
    Case(
        "how numbers' errors are treated",
        "import numpy as np; np.seterr(divide='raise')",
        "np.seterr(divide='ignore')",
        "found = np.geterr()['divide']; np.seterr(divide='warn'); found == 'raise'",
    ),
    Case(
        "how arrays are shown",
        "import numpy as np; np.set_printoptions(precision=2)",
        "np.set_printoptions(precision=8)",
        "str(np.array([1 / 3])) == '[0.33]'",
    ),
    Case(
        "random numbers of numpy",
        "import numpy as np; np.random.seed(3); g = np.random.default_rng(4); g.normal(); np.random.normal()",
        "g.normal(); np.random.normal()",
        (
            "np.random.seed(3) if False else None; w = np.random.default_rng(4); w.normal()\n"
            "r = np.random.RandomState(3); r.normal()\n"
            "(g.normal(), np.random.normal()) == (w.normal(), r.normal())"
        ),
    ),
    Case(
        "products of matrices, in threads",
        "import numpy as np; a = np.ones((700, 700)); b = a @ a",
        "b = None",
        "b[0, 0] == 700 and (a @ a)[1, 1] == 700 and np.linalg.svd(a[:300, :300])[1][0] > 299",
    ),
    Case(
        "a table",
        (
            "import pandas as pd\n"
            "d = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']}, index=pd.date_range('2026', periods=2, tz='UTC'))"
        ),
        "d.loc[:, 'a'] = 9; d['c'] = 1",
        "list(d.columns) == ['a', 'b'] and d.a.sum() == 3 and str(d.index.tz) == 'UTC'",
    ),
    Case(
        "groups and windows",
        (
            "import pandas as pd; d = pd.DataFrame({'k': [1, 1, 2], 'v': [1., 2., 3.]}); g = d.groupby('k')\n"
            "w = d.v.rolling(2)"
        ),
        "d.loc[0, 'v'] = 99",
        "g.v.sum().tolist() == [3., 3.] and w.sum().iloc[1] == 3",
    ),
    Case(
        "categories and types of columns",
        "import pandas as pd; s = pd.Series(['a', 'b'], dtype='category'); n = pd.array([1, None], 'Int64')",
        "s = s.cat.add_categories('c'); n[1] = 2",
        "list(s.cat.categories) == ['a', 'b'] and pd.isna(n[1])",
    ),
    Case(
        "options of tables",
        "import pandas as pd; pd.set_option('display.max_rows', 7)",
        "pd.reset_option('display.max_rows')",
        "pd.get_option('display.max_rows') == 7",
    ),
    Case(
        "a table that is read in chunks",
        (
            "import pandas as pd; open('c.csv', 'w').write('a\\n1\\n2\\n3\\n')\n"
            "r = pd.read_csv('c.csv', chunksize=1); one = next(r)"
        ),
        "two = next(r)",
        "next(r).a.tolist() == [2]",
    ),
    Case(
        "an accessor of one's own",
        (
            "import pandas as pd, warnings; warnings.simplefilter('ignore')\n"
            "@pd.api.extensions.register_series_accessor('own')\n"
            "class A:\n"
            "    def __init__(self, s): self.s = s\n"
            "    def n(self): return len(self.s)"
        ),
        "del pd.Series.own",
        "pd.Series([1, 2]).own.n() == 2",
    ),
    Case(
        "a table of Arrow",
        ("import pyarrow as pa, pyarrow.compute as pc; t = pa.table({'a': list(range(100_000))})\ns = t.slice(10, 5)"),
        "t = t.drop_columns('a')",
        "s['a'][0].as_py() == 10 and pc.sum(t['a']).as_py() == 4999950000",
        modules="pyarrow",
    ),
    Case(
        "a stream of Arrow in the middle",
        (
            "import pyarrow as pa\n"
            "t = pa.table({'a': [1, 2, 3]})\n"
            "r = pa.RecordBatchReader.from_batches(t.schema, t.to_batches(max_chunksize=1)); r.read_next_batch()"
        ),
        "r.read_next_batch()",
        "r.read_next_batch()['a'][0].as_py() == 2",
        modules="pyarrow",
    ),
    Case(
        "a file of Parquet, read in threads",
        (
            "import pyarrow as pa, pyarrow.parquet as pq\n"
            "pq.write_table(pa.table({f'c{i}': list(range(9999)) for i in range(8)}), 'p.parquet')\n"
            "f = pq.ParquetFile('p.parquet'); pq.read_table('p.parquet', use_threads=True)"
        ),
        "f.close()",
        "f.read(use_threads=True).num_rows == 9999 == pq.read_table('p.parquet').num_rows",
        modules="pyarrow",
    ),
    Case(
        "a table of polars",
        (
            "import polars as pl; d = pl.DataFrame({'k': [1, 1, 2] * 50_000, 'v': range(150_000)})\n"
            "s = d.sort('v', descending=True)"
        ),
        "d = d.with_columns(v=pl.lit(0)); s.insert_column(0, pl.Series('x', [0] * 150_000))",
        "d['v'].sum() == 11249925000 and s.columns == ['k', 'v'] and s[0, 'v'] == 149999",
        modules="polars",
    ),
    Case(
        "a query of polars that has not run",
        "import polars as pl; q = pl.LazyFrame({'a': [1, 2, 3]}).filter(pl.col('a') > 1)",
        "q = q.filter(pl.col('a') > 2)",
        "'2' not in q.explain()",
        modules="polars",
    ),
    Case(
        "a model that is fitted",
        (
            "from sklearn.linear_model import LinearRegression; import numpy as np\n"
            "x = np.arange(9.).reshape(-1, 1); m = LinearRegression().fit(x, 2 * x.ravel())"
        ),
        "m.fit(x, 3 * x.ravel())",
        "abs(m.predict([[4.]])[0] - 8) < 1e-9",
        modules="sklearn",
    ),
    Case(
        "a model that fits in threads of OpenMP",
        (
            "from sklearn.ensemble import HistGradientBoostingClassifier as H; import numpy as np\n"
            "x = np.random.default_rng(0).normal(size=(4000, 6)); y = x[:, 0] > 0\n"
            "m = H(max_iter=5, random_state=0).fit(x, y); was = m.score(x, y)"
        ),
        "m.fit(x, ~y)",
        "m.score(x, y) == was == H(max_iter=5, random_state=0).fit(x, y).score(x, y)",
        modules="sklearn",
    ),
    Case(
        "clusters, in threads",
        (
            "from sklearn.cluster import KMeans; import numpy as np\n"
            "x = np.random.default_rng(0).normal(size=(3000, 4))\n"
            "k = KMeans(3, n_init=1, random_state=0).fit(x); was = k.inertia_"
        ),
        "k.fit(x * 2)",
        "k.inertia_ == was and abs(KMeans(3, n_init=1, random_state=0).fit(x).inertia_ - was) < 1e-6",
        modules="sklearn",
    ),
    Case(
        "a pipeline that is searched with jobs",
        (
            "from sklearn.model_selection import GridSearchCV\n"
            "from sklearn.tree import DecisionTreeClassifier as D; import numpy as np\n"
            "x = np.random.default_rng(0).normal(size=(200, 3)); y = x[:, 0] > 0\n"
            "s = GridSearchCV(D(random_state=0), {'max_depth': [1, 2]}, cv=3).fit(x, y)"
        ),
        "s.best_params_['max_depth'] = 99",
        "s.best_params_['max_depth'] in (1, 2)",
        modules="sklearn",
    ),
    Case(
        "sparse matrices and trees",
        (
            "import scipy.sparse as sp, scipy.spatial as ss, numpy as np; m = sp.eye(50, format='csr')\n"
            "t = ss.cKDTree(np.eye(3))"
        ),
        "m.data[:] = 2; t = None",
        "m.sum() == 50 and t.query([1, 0, 0])[1] == 0",
        modules="scipy",
    ),
    Case(
        "splines and solvers",
        (
            "import scipy.interpolate as si, scipy.integrate as sg, numpy as np\n"
            "s = si.CubicSpline([0, 1, 2], [0, 1, 4]); r = sg.RK45(lambda t, y: -y, 0, [1.], 9); r.step()"
        ),
        "r.step(); s.c[:] = 0",
        "float(s(1.)) == 1 and r.status == 'running' and r.nfev == sg.RK45(lambda t, y: -y, 0, [1.], 9).nfev + 6",
        modules="scipy",
    ),
    Case(
        "a figure and its parts",
        (
            "import matplotlib.pyplot as plt; plt.close('all'); f, ax = plt.subplots(); line, = ax.plot([1, 2])\n"
            "plt.close(f)"
        ),
        "line.set_ydata([9, 9]); ax.set_title('changed')",
        (
            "list(line.get_ydata()) == [1, 2] and ax.get_title() == '' and ax.lines[0] is line and "
            "len(__import__('io').BytesIO() and (lambda b: (f.savefig(b), b.getvalue())[1])(__import__('io').BytesIO())) "
            "> 999"
        ),
        modules="matplotlib",
    ),
    Case(
        "the current figure",
        (
            "import matplotlib.pyplot as plt; from matplotlib_inline.config import InlineBackend\n"
            "InlineBackend.instance(parent=get_ipython()).close_figures = False\n"
            "f = plt.figure('own'); plt.figure('other'); plt.figure('own'); plt.plot([1])"
        ),
        "plt.close('all')",
        "plt.gcf() is f and plt.get_figlabels() == ['own', 'other'] and (plt.close('all'), True)[1]",
        modules="matplotlib",
    ),
    Case(
        "settings of figures",
        "import matplotlib as m; m.rcParams['lines.linewidth'] = 7",
        "m.rcdefaults()",
        "m.rcParams['lines.linewidth'] == 7",
        modules="matplotlib",
    ),
    Case(
        "the theme of seaborn",
        "import seaborn as s, matplotlib as m; s.set_palette(['#010203'])",
        "s.set_palette('deep')",
        "s.color_palette().as_hex()[0] == '#010203'",
        modules="seaborn",
    ),
    Case(
        "a figure of plotly",
        "import plotly.graph_objects as go; p = go.Figure(go.Scatter(y=[1, 2])); p.update_layout(title='own')",
        "p.update_layout(title='other'); p.data[0].y = [3]",
        "p.layout.title.text == 'own' and list(p.data[0].y) == [1, 2]",
        modules="plotly",
    ),
    Case(
        "a chart of altair",
        ("import altair as alt, pandas as pd\nc = alt.Chart(pd.DataFrame({'a': [1]})).mark_bar().encode(x='a:Q')"),
        "c.mark = 'line'; c.title = 'x'",
        "c.to_dict()['mark']['type'] == 'bar'",
        modules="altair",
    ),
    Case(
        "a picture",
        (
            "from PIL import Image, ImageDraw; i = Image.new('RGB', (9, 9), 'red'); d = ImageDraw.Draw(i)\n"
            "i.save('i.png'); lazy = Image.open('i.png')"
        ),
        "d.point((1, 1), 'blue'); lazy.load(); lazy.close()",
        "i.getpixel((1, 1)) == (255, 0, 0) == lazy.getpixel((1, 1))",
        modules="PIL",
    ),
    Case(
        "a workbook",
        "import openpyxl; w = openpyxl.Workbook(); s = w.active; s['A1'] = '=1+1'; w.save('w.xlsx')",
        "s['A1'] = 5; w.create_sheet('x'); w.save('w.xlsx')",
        "s['A1'].value == '=1+1' and len(w.sheetnames) == 1 == len(openpyxl.load_workbook('w.xlsx').sheetnames)",
        files=True,
        modules="openpyxl",
    ),
]

ENDS = [
    Case(
        "the threads of polars: a query is refused at once",
        "import polars as pl; d = pl.DataFrame({'a': range(99)}); n = d.filter(pl.col('a') > 5).height",
        "",
        (
            "try:\n"
            "    d.filter(pl.col('a') > 5); said = ''\n"
            "except RuntimeError as problem:\n"
            "    said = str(problem)\n"
            "'went back' in said and d['a'].sum() == 4851"
        ),
        ends=True,
        modules="polars",
    ),
]
