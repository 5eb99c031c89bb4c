#!/usr/bin/env python3
"""Works out with Python's zoneinfo what ivy_domain::days must answer, and writes it to zones.txt.

    python3.11 -m venv /tmp/zones && /tmp/zones/bin/pip install tzdata==2026.5
    /tmp/zones/bin/python generate.py            writes zones.txt beside this file
    /tmp/zones/bin/python generate.py --check    fails if zones.txt is not what it would write
    /tmp/zones/bin/python generate.py --year Europe/London 2024    prints what a year's hash is made of

Nothing here follows the Rust code. Around every jump of a zone's clocks, each minute is asked what the
clocks show, and the answers are read off that list: the first minute that shows a time, or the first
after the jump that left it out; the minutes at which quiet hours change; the last day that has begun.
Away from jumps, zoneinfo is asked with fold=0, and the answer must show the time asked for.
"""

import bisect
import itertools
import platform
import sys
import zoneinfo
from datetime import date, datetime, time, timedelta, timezone
from importlib import resources
from pathlib import Path

import tzdata

TZDATA, IANA = "2026.5", "2026e"
YEARS = range(2020, 2030)
TIMES = "00:30 01:30 02:00 02:30 07:00 09:00 18:00 20:00 21:30 23:45".split()
DAY_START, QUIET_FROM, QUIET_UNTIL = time(3), time(21, 30), time(7)
# Jumps before the ten years that are worth keeping: each left a whole date out, or repeated most of one.
PAST = [
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Pacific/Fakaofo", date(2011, 12, 30)),
    ("Pacific/Kiritimati", date(1994, 12, 31)),
    ("Pacific/Kwajalein", date(1993, 8, 21)),
    ("America/Juneau", date(1983, 10, 30)),
    ("Antarctica/Casey", date(2010, 3, 5)),
]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UTC = timezone.utc
EPOCH = datetime(1970, 1, 1)


def shown(at, zone):
    """What the zone's clocks show at an instant; both without a zone attached, the instant in UTC."""
    return at.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None, fold=0)


def minutes(span):
    whole, rest = divmod(span, MINUTE)
    assert not rest, span
    return whole


def midnight(day):
    return datetime.combine(day, time())


def first_showing(reading, zone):
    """The first instant that shows a reading, or the first after the jump that left it out."""
    at = reading.replace(tzinfo=zone, fold=0).astimezone(UTC).replace(tzinfo=None)
    if shown(at, zone) != reading:
        while shown(at - MINUTE, zone) >= reading:
            at -= MINUTE
    return at


def reading_of(day, local):
    """The reading of a local time on a local day: before the day's start it is the next date's."""
    return datetime.combine(day + DAY if local < DAY_START else day, local)


def jumps(zone, begin, end):
    """The first instants with another offset from UTC, found hour by hour and then by halving."""
    found = []
    offset = lambda at: shown(at, zone) - at
    at = begin
    while at < end:
        if offset(at) != offset(at + HOUR):
            low, high = at, at + HOUR
            while high - low > MINUTE:
                middle = low + minutes(high - low) // 2 * MINUTE
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            assert offset(high - timedelta(seconds=1)) == offset(low), "jumps fall on whole minutes"
            found.append(high)
        at += HOUR
    return found


class Around:
    """The days around a jump, minute by minute."""

    def __init__(self, zone, first, last):
        self.begin, self.end = midnight(first) - 2 * DAY, midnight(last) + 4 * DAY
        self.instants = [self.begin + MINUTE * i for i in range(minutes(self.end - self.begin))]
        self.readings = [shown(at, zone) for at in self.instants]
        self.first_by_reading = {}
        for at, reading in zip(self.instants, self.readings):
            self.first_by_reading.setdefault(reading, at)
        self.gaps = [
            (before, after, at)
            for before, after, at in zip(self.readings, self.readings[1:], self.instants[1:])
            if after - before > MINUTE
        ]
        self.dates = {reading.date() for reading in self.readings}
        self.zone = zone

    def instant(self, reading):
        at = self.first_by_reading.get(reading)
        if at is None:
            (at,) = [at for before, after, at in self.gaps if before < reading < after]
        assert at == first_showing(reading, self.zone), (self.zone, reading)
        return at

    def has_day(self, day):
        return day in self.dates

    def day_start(self, day):
        while not self.has_day(day):
            day += DAY
        return self.instant(datetime.combine(day, DAY_START))

    def quiet_changes(self):
        """The first minute of every run of quiet or waking minutes, but the first run."""
        quiet = [r.time() >= QUIET_FROM or r.time() < QUIET_UNTIL for r in self.readings]
        return [(at, now) for before, now, at in zip(quiet, quiet[1:], self.instants[1:]) if before != now]


def block(zone, jump):
    """The lines of one jump: its days, the local date of each hour, and when quiet hours change."""
    before, after = shown(jump - MINUTE, zone), shown(jump, zone)
    first = min(before, after).date() - 2 * DAY
    last = max(before, after).date() + 2 * DAY
    around = Around(zone, first, last)
    lines = [f"jump {jump:%Y-%m-%dT%H:%MZ} {before + MINUTE:%dT%H:%M} {after:%dT%H:%M}"]
    day = first
    while day <= last:
        since = lambda at: str(minutes(at - midnight(day)))
        columns = [around.day_start(day)]
        columns += [around.instant(reading_of(day, time.fromisoformat(text))) for text in TIMES]
        mark = "day" if around.has_day(day) else "none"
        lines.append(" ".join([mark, day.isoformat(), *map(since, columns)]))
        day += DAY
    lines.append(hours(around, first + DAY, last - DAY))
    changes = around.quiet_changes()
    grid_begin, grid_end = midnight(first + DAY), midnight(last)
    # From the last change before the hours asked about to the first after them.
    low = max(i for i, (at, _) in enumerate(changes) if at <= grid_begin)
    high = min(i for i, (at, _) in enumerate(changes) if at > grid_end)
    kept = changes[low : high + 1]
    word = "quiet" if kept[0][1] else "awake"
    lines.append(" ".join([word, *(str(minutes(at - grid_begin)) for at, _ in kept)]))
    return lines


def hours(around, first, last):
    """How many hours from the first date's midnight UTC to the end of the last fall to each day in turn."""
    days = [first + DAY * i for i in range(-2, (last - first).days + 2) if around.has_day(first + DAY * i)]
    starts = [around.day_start(day) for day in days]
    assert starts == sorted(starts)
    at, dates = midnight(first), []
    while at < midnight(last + DAY):
        dates.append(days[bisect.bisect_right(starts, at) - 1])
        at += HOUR
    runs = [(day, len(list(run))) for day, run in itertools.groupby(dates)]
    return " ".join(["hours", midnight(first).date().isoformat(), *(f"{day:%d}x{count}" for day, count in runs)])


def year_instants(zone, year):
    """Of every date: the day's start, then each time, each with its name."""
    day = date(year, 1, 1)
    while day.year == year:
        yield day, "start", first_showing(datetime.combine(day, DAY_START), zone)
        for text in TIMES:
            yield day, text, first_showing(reading_of(day, time.fromisoformat(text)), zone)
        day += DAY


def year_hash(instants):
    """FNV-1a's rule on 64 bits, with each instant's epoch seconds as one word."""
    state = 0xCBF29CE484222325
    for at in instants:
        state = ((state ^ int((at - EPOCH).total_seconds())) * 0x100000001B3) % 2**64
    return f"{state:016x}"


def described(name):
    zone = zoneinfo.ZoneInfo(name)
    years = [[(day, at) for day, _, at in year_instants(zone, year)] for year in YEARS]
    whole = [year_hash(at for _, at in year) for year in years]
    thirds = [year_hash(at for day, at in year if day.timetuple().tm_yday % 3 == 1) for year in years]
    lines = [" ".join(["years", *whole]), " ".join(["thirds", *thirds])]
    for jump in jumps(zone, datetime(YEARS.start, 1, 1), datetime(YEARS.stop, 1, 1)):
        lines += block(zone, jump)
    return lines


def contents():
    by_data, by_lines = {}, {}
    for name in sorted(zoneinfo.available_timezones()):
        data = resources.files(tzdata).joinpath("zoneinfo", *name.split("/")).read_bytes()
        by_data.setdefault(data, []).append(name)
    for names in by_data.values():
        by_lines.setdefault("\n".join(described(names[0])), []).extend(names)
    yield f"# Made by generate.py; do not edit. Python {platform.python_version()} zoneinfo, PyPI tzdata {TZDATA} (IANA {IANA})."
    yield f"# {YEARS.start}-01-01 to {YEARS.stop}-01-01. README.md says what the lines mean."
    yield " ".join(["times", *TIMES])
    for names, lines in sorted((sorted(names), lines) for lines, names in by_lines.items()):
        yield " ".join(["zones", *names])
        yield lines
    for name, day in PAST:
        zone = zoneinfo.ZoneInfo(name)
        yield f"past {name}"
        for jump in jumps(zone, midnight(day) - DAY, midnight(day) + 2 * DAY):
            yield "\n".join(block(zone, jump))


def main():
    zoneinfo.reset_tzpath(to=())  # The package's data only, never the system's.
    assert (tzdata.__version__, tzdata.IANA_VERSION) == (TZDATA, IANA), "pip install tzdata==" + TZDATA
    if sys.argv[1:2] == ["--year"]:
        zone = zoneinfo.ZoneInfo(sys.argv[2])
        for day, text, at in year_instants(zone, int(sys.argv[3])):
            print(day, text, f"{at:%Y-%m-%dT%H:%M:%SZ}")
        return
    path = Path(__file__).with_name("zones.txt")
    text = "".join(line + "\n" for line in contents())
    if sys.argv[1:] == ["--check"]:
        # The first line names the Python that wrote it.
        if path.read_text().splitlines()[1:] != text.splitlines()[1:]:
            sys.exit("zones.txt differs from what this writes")
    else:
        path.write_text(text)


main()
