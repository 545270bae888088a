#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks the calendar and Python's zoneinfo when windows begin and end, around each change of the
clocks of a year in several zones and at other times, and compares.

usage: second-opinion.py CALENDAR-ANSWERS        (prints TAP)
"""
import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns",
         "Africa/Casablanca", "Pacific/Chatham", "Asia/Kathmandu", "UTC"]
YEARS = [1999, 2026, 2027, 2090, 2411]
DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
N_CASES_OF_A_ZONE = 60


def offset(zone, at):
    return datetime.fromtimestamp(at, zone).utcoffset() // timedelta(seconds=1)


def changes(zone, year):
    """The moments of a year at which the clocks are changed, to the minute."""
    at = int(datetime(year, 1, 1, tzinfo=timezone.utc).timestamp())
    for day in range(at, at + 366 * 86400, 86400):
        if offset(zone, day) != offset(zone, day + 86400):
            yield next(minute for minute in range(day, day + 86401, 60)
                       if offset(zone, minute) != offset(zone, day))


def first_at(zone, wall):
    """When the wall clock shows the naive time wall, or a later one, for the first time."""
    at = int(wall.replace(tzinfo=zone, fold=0).timestamp())
    if datetime.fromtimestamp(at, zone).replace(tzinfo=None) == wall:
        return at
    return next(moment for moment in range(at - 25 * 3600, at + 60, 60)
                if datetime.fromtimestamp(moment, zone).replace(tzinfo=None) >= wall)


class Rule:
    def __init__(self, days, start_min, end_min, length_min, zone):
        self.days, self.start_min, self.end_min = days, start_min, end_min
        self.length_min, self.zone = length_min, zone

    def text(self):
        days = ",".join(DAYS[day] for day in self.days) + " " if len(self.days) < 7 else ""
        end = (f"-{self.end_min // 60}:{self.end_min % 60:02}" if self.end_min is not None
               else f" +{self.length_min}m")
        return f"{days}{self.start_min // 60}:{self.start_min % 60:02}{end} {self.zone}"

    def windows(self, first_day, last_day):
        zone = ZoneInfo(self.zone)
        day = first_day
        while day <= last_day:
            if (day.weekday() + 1) % 7 in self.days:
                begin = day + timedelta(minutes=self.start_min)
                start = first_at(zone, begin)
                length = self.length_min
                if self.end_min is not None:
                    length = (self.end_min - self.start_min) % 1440 or 1440
                    end = first_at(zone, begin + timedelta(minutes=length))
                    yield start, end if end > start else start + length * 60
                else:
                    yield start, start + length * 60
            day += timedelta(days=1)


def opinion(rules, now):
    """What should be said, or None where it would need to look further than some weeks."""
    middle = datetime.fromtimestamp(now, timezone.utc).replace(
        hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    reach = timedelta(days=28)
    joined = []
    for start, end in sorted(window for rule in rules
                             for window in rule.windows(middle - reach, middle + reach)):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    start, end = next(window for window in joined if window[1] > now)
    margin = 15 * 86400
    if start < now - margin or end > now + margin:
        return None
    return f"{'open' if start <= now else 'closed'} {start} {end}"


def random_rule(draw, zones):
    days = sorted(draw.sample(range(7), draw.choice([1, 2, 3, 7, 7, 7])))
    # Many near the hours at which clocks are changed.
    start = draw.choice([draw.randrange(1440), draw.randrange(0, 240, 5), 120, 150])
    if draw.random() < 0.5:
        end = (start + draw.choice([5, 15, 30, 60, 90, 180, 360, 1200])) % 1440
        return Rule(days, start, end, None, draw.choice(zones))
    return Rule(days, start, None, draw.choice([1, 30, 60, 240, 1440, 1500, 6000]),
                draw.choice(zones))


def cases_of(name):
    draw = random.Random(name)
    moments = [change for year in YEARS for change in changes(ZoneInfo(name), year)]
    moments += [int(datetime(year, 6, 1, tzinfo=timezone.utc).timestamp()) for year in YEARS]
    for i in range(N_CASES_OF_A_ZONE):
        # Most with one zone, some with another beside it.
        zones = [name] if i % 4 else [name, draw.choice(ZONES)]
        rules = [random_rule(draw, zones) for _ in range(draw.choice([1, 1, 2, 3]))]
        distance = draw.choice([0, draw.randrange(-7200, 7200), draw.randrange(-200000, 200000)])
        yield rules, moments[i % len(moments)] + distance


def complaints_of(program, name):
    asked = [(rules, now, opinion(rules, now)) for rules, now in cases_of(name)]
    asked = [(rules, now, expected) for rules, now, expected in asked if expected]
    lines = "".join(f"UTC\t{'; '.join(rule.text() for rule in rules)}\t{now}\n"
                    for rules, now, _ in asked)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, timeout=60)
    answers = done.stdout.splitlines()
    if done.returncode != 0 or len(answers) != len(asked):
        return len(asked), [f"it ended with {done.returncode}: {done.stderr}"]
    return len(asked), [
        f"{'; '.join(rule.text() for rule in rules)} at {now}: {answer}, not {expected}"
        for (rules, now, expected), answer in zip(asked, answers) if answer != expected]


def main():
    n_failed = 0
    print(f"1..{len(ZONES)}")
    for number, name in enumerate(ZONES, 1):
        n_asked, complaints = complaints_of(sys.argv[1], name)
        if n_asked < N_CASES_OF_A_ZONE // 2:
            complaints.append("too few of the cases could be judged")
        n_failed += bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {number} - {n_asked} windows in {name}")
        for line in complaints[:10]:
            print(f"# {line}")
    return 1 if n_failed else 0


sys.exit(main())
