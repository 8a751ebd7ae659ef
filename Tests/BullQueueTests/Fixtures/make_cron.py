"""Writes cron.json: when patterns come next, by the strategy of the PyPI `bullmq` client (croniter underneath).

Run with the versions of Tests/requirements.txt: `python make_cron.py > cron.json`. Each case is [pattern, time zone, time
in ms, next time in ms]. When the clocks change between the two, croniter is not consistent (a daily job at 02:30 runs at
03:30 the day after the change, one that begins in August already in July), so there the expected time is that of `enumerated`
below, which names every instant of each day in order and takes the first one; elsewhere both must agree.
"""

import datetime
import itertools
import json
import random
import sys
from zoneinfo import ZoneInfo

from bullmq.job_scheduler import default_repeat_strategy

UTC = datetime.timezone.utc
ZONES = [
    "UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Tehran", "Australia/Lord_Howe", "Australia/Sydney", "Pacific/Apia", "Pacific/Auckland",
    "Africa/Casablanca", "America/Havana", "Asia/Gaza",
]
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
DAYS = "SUN MON TUE WED THU FRI SAT".split()
BOUNDS = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


def item(r, low, high, names=None):
    name = lambda v: names[v - low] if names and r.random() < 0.5 else str(v)
    kind = r.random()
    if kind < 0.5:
        return name(r.randint(low, high))
    a, b = sorted(r.sample(range(low, high + 1), 2))
    if kind < 0.75:
        return f"{name(a)}-{name(b)}"
    if kind < 0.9:
        return f"{a}-{b}/{r.randint(1, max(1, (high - low) // 3))}"
    return f"*/{r.randint(2, max(2, (high - low) // 2))}"


def field(r, index):
    low, high = BOUNDS[index]
    names = {4: MONTHS, 5: DAYS}.get(index)
    if r.random() < [0.3, 0.3, 0.4, 0.6, 0.7, 0.6][index]:
        return "*"
    if index == 3 and r.random() < 0.15:
        return "L"
    if index == 5 and r.random() < 0.15:
        day = r.randint(0, 6)
        return r.choice([f"{day}#{r.randint(1, 5)}", f"L{day}", "7", f"{DAYS[day]}#{r.randint(1, 4)}"])
    return ",".join(item(r, low, high, names) for _ in range(r.choice([1, 1, 1, 2, 3])))


def pattern(r):
    fields = [field(r, index) for index in range(6)]
    # A date of both days of which one is the nth is refused by croniter.
    if "#" in fields[5] or "L" in fields[5]:
        fields[3] = "*"
    # croniter does not always see that a list of days leaves none out.
    if fields[5][0] != "L" and "#" not in fields[5] and len(values(fields[5], 5)) == 7:
        fields[5] = "*"
    return " ".join(fields if r.random() < 0.5 else fields[1:])


def values(text, index):
    low, high = BOUNDS[index]
    names = {4: MONTHS, 5: DAYS}.get(index, [])
    number = lambda t: names.index(t) + low if t in names else int(t)
    result = set()
    for part in text.split(","):
        part, _, step = part.partition("/")
        if part == "*":
            ends = [low, high]
        else:
            ends = [number(t) for t in part.split("-")]
            if step and len(ends) == 1:
                ends.append(high)
        result |= {v % 7 if index == 5 else v for v in range(ends[0], ends[-1] + 1, int(step or 1))}
    return result


def last_day(date):
    return (date.replace(day=28) + datetime.timedelta(days=4)).replace(day=1) - datetime.timedelta(days=1)


def takes(date, fields):
    if date.month not in values(fields[4], 4):
        return False
    day = date == last_day(date) if fields[3] == "L" else date.day in values(fields[3], 3)
    weekday = (date.weekday() + 1) % 7
    if "#" in fields[5]:
        name, _, number = fields[5].partition("#")
        isWeekday = weekday in values(name, 5) and (date.day - 1) // 7 + 1 == int(number)
    elif fields[5].startswith("L"):
        isWeekday = weekday == int(fields[5][1:]) and date.day + 7 > last_day(date).day
    else:
        isWeekday = weekday in values(fields[5], 5)
    return day or isWeekday if fields[3] != "*" and fields[5] != "*" else day and isWeekday


def instants(naive, zone, evenly):
    """The instants, in seconds, at which a local time runs."""
    found = []
    for fold in (0, 1):
        t = int(naive.replace(tzinfo=zone, fold=fold).timestamp())
        if datetime.datetime.fromtimestamp(t, zone).replace(tzinfo=None) == naive and t not in found:
            found.append(t)
    if found:
        return found if evenly else [min(found)]
    if evenly:
        return []
    # Skipped: the first second whose local time is behind it.
    low = int(naive.replace(tzinfo=UTC).timestamp()) - 100000
    high = low + 200000
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.datetime.fromtimestamp(middle, zone).replace(tzinfo=None) > naive:
            high = middle
        else:
            low = middle
    return [high]


def enumerated(text, zone_name, ms):
    fields = text.split()
    fields = ["0"] * (6 - len(fields)) + fields
    zone = ZoneInfo(zone_name)
    hours, minutes, seconds = (sorted(values(fields[i], i)) for i in (2, 1, 0))
    # No zone here moves its clocks by more than an hour.
    margin = datetime.timedelta(hours=2)
    local = lambda t: datetime.datetime.fromtimestamp(t, zone).replace(tzinfo=None)
    first, best = local(ms / 1000) - margin, None
    for days in range(366 * 50):
        date = first.date() + datetime.timedelta(days=days)
        if not takes(date, fields):
            continue
        for hour, minute, second in itertools.product(hours, minutes, seconds):
            naive = datetime.datetime(date.year, date.month, date.day, hour, minute, second)
            if best is not None and naive > local(best) + margin:
                return best * 1000
            if naive >= first:
                for t in instants(naive, zone, len(hours) == 24):
                    if t * 1000 > ms and (best is None or t < best):
                        best = t
    raise AssertionError((text, zone_name, ms))


def changes(zone_name, first, last):
    """Whether the clocks show another offset at the second time than at the first, or within two days around them."""
    zone = ZoneInfo(zone_name)
    times = [first - 2 * 86400, first, last, last + 2 * 86400]
    return len({datetime.datetime.fromtimestamp(t, zone).utcoffset() for t in times}) > 1


def main():
    r = random.Random(20261126)
    cases = []
    while len(cases) < 600:
        text, zone = pattern(r), r.choice(ZONES)
        ms = r.randrange(1_500_000_000_000, 1_900_000_000_000)
        if len(cases) % 2 and zone != "UTC":
            # Close to a change of the clocks.
            day = next((s for s in range(ms // 1000, ms // 1000 + 366 * 86400, 86400) if moves(zone, s, 86400)), None)
            if day is None:
                continue
            at = next(s for s in range(day, day + 86400, 3600) if moves(zone, s, 3600))
            ms = (at + r.randrange(-7200, 10800)) * 1000 + r.randrange(1000)
            if r.random() < 0.7:
                fields = text.split()
                text = " ".join(fields[:-3] + ["*", "*", "*"])
        try:
            peer = default_repeat_strategy(ms, {"pattern": text, "tz": zone})
        except Exception:
            continue
        expected = peer
        if changes(zone, ms // 1000, peer // 1000):
            expected = enumerated(text, zone, ms)
        elif len(cases) % 5 == 0:
            assert enumerated(text, zone, ms) == peer, (text, zone, ms)
        cases.append([text, zone, ms, expected])
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


def moves(zone_name, second, span):
    zone = ZoneInfo(zone_name)
    offset = lambda s: datetime.datetime.fromtimestamp(s, zone).utcoffset()
    return offset(second) != offset(second + span)


if __name__ == "__main__":
    sys.exit(main())
