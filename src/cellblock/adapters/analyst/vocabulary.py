"""The words the analyst understands, as tables. Only data: what they mean together is `question.py`'s affair."""

from typing import NamedTuple

from cellblock.adapters.analyst.words import word_set


class Meaning(NamedTuple):
    """What a phrase says: the slot it fills and with what."""

    slot: str
    value: str


def table(slot: str, **values: str) -> dict[tuple[str, ...], Meaning]:
    """`bar="bar chart|bars"` becomes {("bar", "chart"): (slot, "bar"), ("bars",): (slot, "bar")}."""
    found = {}
    for value, phrases in values.items():
        for phrase in phrases.split("|"):
            found[tuple(phrase.split())] = Meaning(slot, value)
    return found


PHRASES: dict[tuple[str, ...], Meaning] = {
    **table(
        "chart",
        bar="bar chart|bar charts|bar graph|bar plot|bar diagram|barplot|barchart|bars|bar|column chart|column graph",
        barh="horizontal bar chart|horizontal bar|horizontal bars|horizontal bar graph|horizontal bar plot|barh",
        stacked="stacked bar chart|stacked bar|stacked bars|stacked bar graph|stacked",
        line="line chart|line charts|line graph|line plot|line diagram|linechart|lineplot|line|lines|curve|time series"
        "|timeline|trend line|trendline",
        scatter="scatter plot|scatter plots|scatter chart|scatter graph|scatter diagram|scatterplot|scatter|scattergram"
        "|xy plot|point cloud|dot plot",
        histogram="histogram|histograms|histogram plot|hist",
        pie="pie chart|pie charts|pie graph|pie plot|piechart|pie|donut chart|doughnut chart|donut|doughnut",
        box="box plot|box plots|boxplot|boxplots|box chart|box and whisker plot|box and whisker|box and whiskers"
        "|whisker plot|box",
        heatmap="heatmap|heat map",
        none="as a table|table only|no chart|without a chart|without chart|no plot|without a plot|just the numbers"
        "|only the numbers|as text|as numbers|in a table|a table|table",
        auto="chart|charts|plot|plots|graph|graphs|diagram|figure|visualize|visualise|visualization|visualisation|draw"
        "|graphically|visually|picture",
    ),
    **table(
        "trend",
        yes="over time|through time|over the time|trend|trends|evolution|evolve|evolved|develop|developed"
        "|development|over the years|over the months|over the weeks|over the days|change over time|in time",
    ),
    **table(
        "aggregate",
        sum="sum|sums|sum of|total|totals|total of|sum up|summed|add up|overall|altogether|in total|combined|totalled"
        "|aggregate",
        mean="average|averages|avg|mean|means|on average|mean value|average value|typical|typically|arithmetic mean",
        median="median|medians|middle value",
        count="how many|number of|count|counts|count of|counted|frequency|frequencies|tally|how often|how much records"
        "|the number of|no of|amount of rows|headcount|head count|how many times",
        min="minimum|min|minima|minimal",
        max="maximum|max|maxima|maximal|peak",
        range="range|ranges|spread|min and max|minimum and maximum",
        std="standard deviation|std|stdev|std dev|standard deviations|stddev",
        var="variance",
    ),
    **table(
        "extreme",
        high="highest|most|largest|biggest|greatest|best|leading|strongest|max value|best performing",
        low="lowest|least|fewest|smallest|worst|weakest|min value|worst performing",
    ),
    **table("top", high="top", low="bottom"),
    **table(
        "unit",
        year="yearly|annual|annually|year by year|per year|by year|each year|every year|year wise|per annum",
        quarter="quarterly|per quarter|by quarter|each quarter|every quarter|quarter by quarter",
        month="monthly|per month|by month|each month|every month|month by month|month wise",
        week="weekly|per week|by week|each week|every week|week by week",
        day="daily|per day|by day|each day|every day|day by day|by date|per date",
        hour="hourly|per hour|by hour|each hour|every hour|hour of the day|hour of day|by hour of day|time of day"
        "|by time of day",
        weekday="by weekday|per weekday|each weekday|weekday|weekdays|day of the week|day of week|by day of week"
        "|by day of the week|per day of the week|per day of week|days of the week",
    ),
    **table(
        "unitword",
        year="year|years|jahr|jahre",
        quarter="quarter|quarters|quartal",
        month="month|months|monat|monate",
        week="week|weeks|woche",
        day="day|days|tag|tage",
        hour="hour|hours|stunde",
    ),
    **table(
        "order",
        desc="descending|decreasing|descending order|in descending order|highest first|largest first|biggest first"
        "|high to low|from high to low|desc|from highest to lowest|from largest to smallest|highest to lowest"
        "|largest to smallest",
        asc="ascending|increasing|ascending order|in ascending order|lowest first|smallest first|low to high"
        "|from low to high|asc|from lowest to highest|from smallest to largest|lowest to highest|smallest to largest"
        "|least first",
        key="alphabetically|alphabetical|alphabetical order|in alphabetical order|chronologically"
        "|chronological order|in chronological order",
    ),
    **table(
        "sort",
        by="sort by|sorted by|order by|ordered by|rank by|ranked by|sort them by|sort it by|ranking by"
        "|arranged by|order them by",
        yes="sort|sorted|rank|ranked|ranking|ordered|sort it|sort them",
    ),
    **table(
        "act",
        profile="describe|profile|summarize|summarise|summary|overview|explore|analyze|analyse|analysis|inspect|eda"
        "|summary statistics|descriptive statistics|statistics|stats|insights|tell me about|what is in|what's in"
        "|whats in|look at|understand|take a look|what does|info|exploratory|key figures"
        "|quartiles|quartile|five number summary|characterize|statistical",
        preview="preview|first rows|head|peek|last rows|tail|sample rows|show the data|show me the data|show data"
        "|display the data|random rows|show the file|show me the file|first few rows|first lines|few rows|raw data"
        "|example rows"
        "|sample of the data|data sample|sample data",
        shape="how many rows|how many records|how many lines|how many columns|number of rows|number of columns"
        "|number of records|row count|how many fields|how many entries|how many observations|shape|dimensions"
        "|how big|how large|count of rows|count the rows|number of entries|how many data points|total rows"
        "|how long is|count rows|total number of rows|total number of records|how many features|how many variables",
        columns="column names|columns|which columns|what columns|list the columns|list columns|field names|fields"
        "|which fields|what fields|data types|datatypes|dtypes|column types|schema|headers|variables|features"
        "|types of the columns|types of columns|list of columns|the columns",
        missing="missing|missing values|missing data|nulls|null|null values|nan|nans|empty|empty values|empty cells"
        "|blank|blanks|blank cells|incomplete|na values|missing value|gaps|completeness|complete|missingness",
        distinct="unique|distinct|unique values|distinct values|different|unique value|different values"
        "|unique values of"
        "|distinct values of|values of|possible values|what values|which values|all the values|list of values"
        "|values does|what are the values|kinds of|types of|are there which|deduplicated|uniques",
        correlation="correlation|correlations|correlated|correlate|correlates|correlation matrix"
        "|correlation coefficient"
        "|relationship|relationships|relation|related|association|pearson|depend|depends|covary|connection|linked"
        "|affect|affects|influence|influences|impact|impacts",
        distribution="distribution|distributions|distributed|how is|frequency distribution|dispersion",
        outliers="outlier|outliers|anomaly|anomalies",
        duplicates="duplicate|duplicates|duplicated|duplicate rows|duplicated rows|repeated rows",
    ),
    **table(
        "share",
        yes="share|shares|percentage|percentages|percent|percents|proportion|proportions|fraction|ratio of|what part"
        "|as percentages|as percentage|in percent|as a percentage|relative share|market share|portion|contribution"
        "|contributions|percentage share|pct|what percentage|what share|relative frequency|ratio|relative frequencies",
    ),
    **table(
        "rows",
        yes="list|list all|show all|show rows|show the rows|show me the rows|rows|records|entries|which rows"
        "|find|who|whose|give me the rows|show me all|filter|select|only rows|lines",
    ),
    **table(
        "frequent",
        high="most common|most frequent|most frequently|commonest|most popular|most often|mode|busiest",
        low="least common|least frequent|rarest|least popular|rare|quietest",
    ),
    **table(
        "detail",
        yes="broken down by|breakdown by|split by|stacked by|broken out by|coloured by|colored by"
        "|color by|colour by|segmented by|for each of the",
        plain="breakdown|breakdown of|broken down",
    ),
    **table("compare", yes="compare|compared|comparison|comparing|comparison of|difference|differ|differences"),
    **table("bins", yes="bins|bin|buckets|bucket"),
    **table(
        "reset",
        yes="all again|remove the filter|without the filter|no filter|without filter|clear the filter"
        "|remove filter|drop the filter|remove all filters|without any filter|for everything|unfiltered"
        "|all data|all the data|all rows|reset",
    ),
}
"""Phrases in folded words; a longer one beats a shorter one."""

FIRST_WORDS: dict[str, list[tuple[tuple[str, ...], Meaning]]] = {}
for _words, _meaning in sorted(PHRASES.items(), key=lambda entry: -len(entry[0])):
    FIRST_WORDS.setdefault(_words[0], []).append((_words, _meaning))

SINGLE_WORDS = frozenset(words[0] for words in PHRASES if len(words) == 1)
"""Keywords of one word; those of five letters and more may be misspelt."""

MONEY = "revenue|sales|turnover|amount|total|value|umsatz|betrag"
"""Names of the column that `the largest order` is about."""

EXTREMES: dict[str, tuple[str, str]] = {
    "expensive": ("high", "price"),
    "priciest": ("high", "price"),
    "costliest": ("high", "price"),
    "cheapest": ("low", "price"),
    "cheap": ("low", "price"),
    "oldest": ("high", "age"),
    "youngest": ("low", "age"),
    "hottest": ("high", "temperature"),
    "warmest": ("high", "temperature"),
    "coldest": ("low", "temperature"),
    "coolest": ("low", "temperature"),
    "wettest": ("high", "rain"),
    "rainiest": ("high", "rain"),
    "driest": ("low", "rain"),
    "windiest": ("high", "wind"),
    "tallest": ("high", "height"),
    "shortest": ("low", "height|length|duration"),
    "longest": ("high", "length|duration"),
    "widest": ("high", "width"),
    "narrowest": ("low", "width"),
    "heaviest": ("high", "weight"),
    "lightest": ("low", "weight"),
    "slowest": ("high", "duration"),
    "fastest": ("low", "duration"),
    "quickest": ("low", "duration"),
    "richest": ("high", "salary"),
    "newest": ("high", "date"),
    "latest": ("high", "date"),
    "recent": ("high", "date"),
    "earliest": ("low", "date"),
    "profitable": ("high", "profit"),
}
"""Superlatives that name their own column: the direction, and words for the column."""

COMPARATIVES: dict[str, tuple[str, str]] = {
    "older": (">", "age"),
    "younger": ("<", "age"),
    "taller": (">", "height"),
    "shorter": ("<", "height|length|duration"),
    "longer": (">", "length|duration"),
    "heavier": (">", "weight"),
    "lighter": ("<", "weight"),
    "cheaper": ("<", "price"),
    "pricier": (">", "price"),
    "costlier": (">", "price"),
    "slower": (">", "duration"),
    "faster": ("<", "duration"),
    "warmer": (">", "temperature"),
    "hotter": (">", "temperature"),
    "colder": ("<", "temperature"),
    "cooler": ("<", "temperature"),
}
"""`older than 30`: the operator, and words for the column."""

VERBS = {
    "earn": "salary",
    "earns": "salary",
    "earner": "salary",
    "earners": "salary",
    "earning": "salary",
    "earned": "salary",
    "paid": "salary",
    "cost": "price",
    "costs": "price",
    "costing": "price",
    "weigh": "weight",
    "weighs": "weight",
    "weighing": "weight",
    "spent": "revenue|amount|total",
    "spend": "revenue|amount|total",
    "spends": "revenue|amount|total",
    "spending": "revenue|amount|total",
    "bought": "quantity|revenue|amount",
    "selling": "quantity|revenue",
    "sold": "quantity|revenue",
    "sells": "quantity|revenue",
    "sell": "quantity|revenue",
    "rained": "rain",
    "lasted": "duration",
    "lasting": "duration",
    "taking": "duration",
}
"""Verbs that stand for a column when nothing else names one."""

COMPARATORS: dict[tuple[str, ...], str] = {
    tuple(phrase.split()): operator
    for operator, phrases in {
        ">": "greater than|more than|over|above|higher than|larger than|bigger than|exceeding|exceeds|exceed|>"
        "|is greater than|is more than|is over|is above|in excess of|after|later than|better than",
        ">=": "at least|no less than|not less than|minimum of|>=|≥|a minimum of|since|greater than or equal to"
        "|starting from|starting in|from|not under|not below|more than or equal to|or more than",
        "<": "less than|under|below|lower than|fewer than|smaller than|<|before|earlier than|is under|is below"
        "|worse than",
        "<=": "at most|no more than|not more than|up to|<=|≤|until|maximum of|a maximum of|less than or equal to|till"
        "|not over|not above|through",
        "==": "equal to|equals|exactly|=|==|is exactly|is equal to",
        "!=": "not equal to|!=|<>|≠|other than",
    }.items()
    for phrase in phrases.split("|")
}
BETWEEN = {("between",): "and", ("from",): "to", ("ranging", "from"): "to", ("in", "the", "range"): "to"}
SUFFIXES = {
    ("or", "more"): ">=",
    ("or", "higher"): ">=",
    ("or", "above"): ">=",
    ("or", "older"): ">=",
    ("and", "above"): ">=",
    ("and", "over"): ">=",
    ("or", "over"): ">=",
    ("or", "less"): "<=",
    ("or", "fewer"): "<=",
    ("or", "lower"): "<=",
    ("or", "below"): "<=",
    ("or", "younger"): "<=",
    ("and", "below"): "<=",
    ("or", "under"): "<=",
    ("and", "older"): ">=",
    ("and", "younger"): "<=",
    ("or", "later"): ">=",
    ("or", "earlier"): "<=",
}

NEGATIONS = {
    "not",
    "excluding",
    "exclude",
    "except",
    "without",
    "non",
    "isn't",
    "aren't",
    "excl",
    "minus",
    "ignoring",
    "ignore",
    "outside",
    "omit",
    "omitting",
}

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sep sept",
            "october oct",
            "november nov",
            "december dec",
        ),
        1,
    )
    for name in names.split()
}
SEASONS = {"winter": (12, 1, 2), "spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11), "fall": (9, 10, 11)}
UNIT_HINTS = {
    "degrees": "temperature",
    "degree": "temperature",
    "celsius": "temperature",
    "years": "age",
    "year": "age",
    "ms": "duration|latency",
    "milliseconds": "duration|latency",
    "seconds": "duration|latency",
    "mm": "precipitation",
    "euros": MONEY,
    "euro": MONEY,
    "dollars": MONEY,
    "usd": MONEY,
    "eur": MONEY,
}
"""`above 25 degrees`: the unit names the column."""
WEEKDAYS = {
    name: full
    for full in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    for name in (full.casefold(), full.casefold() + "s")
}

SYNONYMS: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in (
        "revenue sale turnover income proceed umsatz takings amount earning total",
        "cost expense spend spending expenditure kosten",
        "price cost fee charge preis fare",
        "quantity unit qty count volume piece menge number pcs",
        "profit margin gain gewinn earning",
        "customer client buyer kunde shopper account user",
        "employee staff worker person colleague",
        "department dept team division unit abteilung",
        "salary pay wage compensation earning income gehalt remuneration",
        "date day time timestamp datetime when datum",
        "timestamp time datetime",
        "country nation land state",
        "city town location place stadt ort station",
        "region area territory zone district gebiet",
        "temperature temp",
        "rain precipitation rainfall prcp",
        "wind windspeed gust",
        "product item article sku good produkt artikel merchandise",
        "category type kind group segment class kategorie sort",
        "gender sex",
        "status state code",
        "url page path endpoint route",
        "duration latency elapsed length stay runtime los time",
        "byte size",
        "weight mass",
        "height size",
        "age year",
        "rating score star grade",
        "patient person",
        "ward unit department",
        "diagnosis disease condition illness",
        "method verb",
        "rep salesperson seller salesman representative agent verkaufer",
        "supplier vendor manufacturer brand make",
        "hour time",
        "experience tenure seniority",
        "job position title role occupation",
        "store shop branch outlet filiale",
        "species kind type",
        "score result mark grade",
        "genre category",
        "month monat",
        "year jahr",
    )
)
"""Words that may stand for one another; used only when they point at one column."""

ABBREVIATIONS = {
    "dept": "department",
    "dep": "department",
    "qty": "quantity",
    "temp": "temperature",
    "amt": "amount",
    "dob": "birth",
    "avg": "average",
    "mean": "average",
    "maximum": "max",
    "minimum": "min",
    "num": "number",
    "nr": "number",
    "no": "number",
    "cust": "customer",
    "prod": "product",
    "cat": "category",
    "emp": "employee",
    "addr": "address",
    "pct": "percent",
    "percentage": "percent",
    "desc": "description",
    "ts": "timestamp",
    "precip": "precipitation",
    "resp": "response",
    "yr": "year",
    "mo": "month",
    "loc": "location",
    "mgr": "manager",
    "bp": "pressure",
    "hr": "heartrate",
    "exp": "experience",
    "hum": "humidity",
}
UNITS_OF_MEASURE = word_set(
    """
    ms s sec second kg g mg cm mm m km c f celsius fahrenheit usd eur gbp chf dollar euro pct percent mb gb kb
    byte k inr kmh mph kph hpa mmhg l ml hour hr day minute deg degc degf lb lbs in inch ft
    """
)
"""Words at the end of a column's name that only give its unit."""

MEAN_WORDS = word_set(
    """
    temperature temp rate ratio price age score rating percent percentage latency humidity pressure height
    weight bmi speed grade length width salary wage pay mean average avg median density level index glucose
    cholesterol heart duration response elapsed tenure experience depth stay wind voltage probability sepal
    petal bill flipper mass gpa satisfaction value concentration discount margin los max min
    """
)
SUM_WORDS = word_set(
    """
    revenue sale sales amount unit units quantity qty cost total count number profit hour hours rainfall rain
    precipitation bytes byte visit visits view click clicks umsatz menge betrag order orders spend expense
    income turnover volume population deaths cases budget donation payment tax sold stock inventory kosten
    gewinn absences days downloads impressions sessions users snow sunshine distance minutes calories
    """
)

PEOPLE = word_set(
    """
    people person persons employee employees staff worker workers customer customers patient patients user users
    men women student students passenger passengers member members player players anyone everyone those males
    females adults individuals participants subjects child children kids
    """
)
"""Nouns of whom `over 65` is an age."""
CODES = word_set("status code class grade level rating stage type category")
"""Names of columns whose numbers are kinds rather than amounts: `404 errors`."""
GREETINGS = word_set("hi hello hey hallo greetings thanks thank bye goodbye morning evening welcome")
HELP = (
    "what can you do",
    "who are you",
    "what are you",
    "help",
    "how do you work",
    "are you an ai",
    "are you a language",
    "are you chatgpt",
    "are you gpt",
    "are you claude",
    "are you gemini",
    "which model",
    "what model",
    "are you a bot",
    "are you human",
    "are you real",
    "how can you help",
    "what do you do",
    "your capabilities",
    "what questions can i ask",
    "what can i ask",
)
BEYOND = word_set(
    """
    cumulative growth grow grew grown yoy mom rolling moving predict predicting prediction predictions forecast
    forecasts forecasting regression cluster clusters clustering classify classifier translate translation poem
    joke essay download scrape kmeans extrapolate interpolate impute simulate anova ttest violin sunburst
    treemap sankey candlestick cagr
    """
)
"""Things people ask that the analyst cannot do, whatever else the question says."""
UNSUPPORTED = BEYOND | word_set(
    """
    classification train training sentiment story email tweet weather internet website model neural network pca
    significance significant hypothesis map radar funnel merge join concatenate pivot optimize optimise
    recommend recommendation
    """
)
"""Things people ask that the analyst cannot do; the rest only when no column is meant."""

HARMLESS = word_set(
    """
    detail details general euros euro dollars dollar usd eur degrees celsius color colour red blue green orange
    mind advance python pandas matplotlib style thousands millions comparison context notebook workspace
    presentation slides report terms case cases order example instance reference period time range
    """
)
"""What may follow `in` or `for` without being a value to filter by."""
STOPWORDS = word_set(
    """
    a an the this that these those of for to in on at from with and or by per as is are was were be been do does
    did have has had it its i you me my we our us they them their he she his her what which who whom whose when
    where why how can could would should will shall please show give tell make create draw build produce
    generate display get see want need like let lets know find compute calculate determine return print report
    provide using use used based into about each every all any some there here then than also now just only same
    instead again so if not no yes but vs versus against between among across within during over up down out off
    very much many more less most least other another both either file data dataset csv tsv excel sheet
    spreadsheet json parquet table set row rows column columns value values record records entry entries item
    items thing things one ones first last next chart plot graph figure bar line pie i'd i'm what's let's it's
    don't whats us me go okay ok hey hi hello thanks thank kindly simple nice quick quickly full whole entire
    overall respective individual corresponding different various certain particular got gets come comes came
    happen happened look looks do doing done had having being who's there's order group grouped grouping analyze
    analyse break broken split axis x y versus way kind sort type change changes vary varies varied compare
    compared because while still plus well too actually really maybe perhaps something anything question answer
    help visual title label named called name try attempt take run add put uploaded attached dropped above below
    following given current currently available present contains contain contained looking interested
    """
)
"""Words that carry no content of their own: never a missing column, never misread as a typo of one."""

GENERIC = word_set(
    """
    people person employee employees staff worker workers customer customers client order orders sale
    transaction transactions patient patients request requests visit visits case cases event events product
    products user users day days city observation observations sample samples log logs member members student
    students purchase purchases line lines station hit hits call calls measurement measurements admission
    admissions booking bookings reading readings hires time times individuals animals bird birds flower flowers
    plant plants book books movie movies specimen specimens company business store total subject subjects
    participant participants men women stay stays items unit article
    """
)
"""Nouns that may name a row of the table rather than a column of it."""
