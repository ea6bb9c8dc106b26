"""Numbers as people read them: every text carries its unit, and no text shows digits that mean nothing."""

from __future__ import annotations

import math

from sim.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

MINUS = "\u2212"
_TIMES = "\u00d7"
_SPACE = "\u00a0"
"""No-break space, so that a number stays on one line with its unit."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_DECIMALS = 6


def whole(number: float) -> str:
    """Return a rounded number with commas between thousands: "60,000"."""
    return f"{number:,.0f}"


def duration(seconds: float, decimals: int = 0) -> str:
    """Return a time as "1 h 02 min 05 s", "12 min 30 s" or "45.2 s"; `decimals` are those of the seconds."""
    rounded = round(abs(seconds), decimals)
    sign = MINUS if seconds < 0 and rounded > 0 else ""
    hours, rest = divmod(rounded, SECONDS_PER_HOUR)
    minutes, second = divmod(rest, SECONDS_PER_MINUTE)
    # divmod on decimals leaves 59.999...; what prints as 60 seconds is a minute.
    if round(second, decimals) >= SECONDS_PER_MINUTE:
        minutes, second = minutes + 1, 0.0
    if hours:
        width = 2 if decimals == 0 else 3 + decimals
        return f"{sign}{hours:.0f}{_SPACE}h{_SPACE}{minutes:02.0f}{_SPACE}min{_SPACE}{second:0{width}.{decimals}f}{_SPACE}s"
    if minutes:
        return f"{sign}{minutes:.0f}{_SPACE}min{_SPACE}{second:.{decimals}f}{_SPACE}s"
    return f"{sign}{second:.{decimals}f}{_SPACE}s"


def duration_pair(first_s: float, second_s: float) -> tuple[str, str]:
    """Return both times with as few decimals as tell them apart; with one where six do not."""
    for decimals in range(_MOST_DECIMALS + 1):
        texts = duration(first_s, decimals), duration(second_s, decimals)
        if texts[0] != texts[1]:
            return texts
    return duration(first_s, 1), duration(second_s, 1)


def vehicle_hours(seconds: float) -> str:
    """Return vehicle-seconds as vehicle-hours, with five significant digits at least: "12,345.6"."""
    return significant(seconds / SECONDS_PER_HOUR, 5)


def significant(number: float, digits: int) -> str:
    """Return a number with at least `digits` significant digits and no exponent: "0.0123", "1,234.5"."""
    if number == 0 or not math.isfinite(number):
        return f"{number:.0f}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    return f"{number:,.{decimals}f}"


def percent(share: float, digits: int = 2) -> str:
    """Return a share as a percentage with `digits` significant digits: "2.6 %", "0.031 %", "100 %"."""
    return f"{significant(share * 100, digits)}{_SPACE}%"


def signed_percent(share: float, digits: int = 2) -> str:
    """Return a change as a percentage with its sign: "+2.6 %", "−0.031 %", "0 %"."""
    shown = percent(abs(share), digits)
    return shown if share == 0 else f"{'+' if share > 0 else MINUS}{shown}"


def small_percent(share: float) -> str:
    """Return a probability as a percentage; below a millionth it only says so."""
    return f"less than 0.0001{_SPACE}%" if 0 < share < 1e-6 else percent(share)


def closed_share(share: float) -> str:
    """Return a share of 0 to 1 as a percentage, rounded down to tenths so that nothing looks more complete than it is."""
    return f"{math.floor(min(share, 1.0) * 1000 + 1e-9) / 10:g}{_SPACE}%"


def credits(number: float) -> str:
    """Return an amount of money: "12,345.7 credits"."""
    shown = f"{significant(abs(number), 3)}{_SPACE}{'credit' if abs(number) == 1 else 'credits'}"
    return f"{MINUS}{shown}" if number < 0 else shown


def power(number: float) -> str:
    """Return a small number as "4.2 × 10⁻⁷"; numbers from 0.001 on stay as they are."""
    if number == 0 or not math.isfinite(number):
        return "0" if number == 0 else "none"
    if abs(number) >= 0.001:
        return significant(number, 2)
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa}{_SPACE}{_TIMES}{_SPACE}{ten_to(int(exponent))}"


def ten_to(exponent: int) -> str:
    """Return "10⁻³" for -3."""
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def ratio(value: float, uncertainty: float) -> str:
    """Return a ratio with the digits that its uncertainty supports, three decimals at least and six at most."""
    decimals = 6 if uncertainty <= 0 else min(6, max(3, -math.floor(math.log10(uncertainty)) - 1))
    return f"{value:.{decimals}f}"


def interval(low: float, high: float, most_decimals: int = 9) -> str:
    """Return an interval with just enough decimals to show its width, rounded outwards so that it still holds."""
    width = high - low
    decimals = most_decimals if width <= 0 else min(most_decimals, max(3, 1 - math.floor(math.log10(width))))
    scale = 10.0**decimals
    # The tolerance keeps 1.0262 from becoming 1.0261 because its product is 10261.999...
    down, up = math.floor(low * scale + 1e-6) / scale, math.ceil(high * scale - 1e-6) / scale
    return f"{down:.{decimals}f} to {up:.{decimals}f}"


def size(n_bytes: int) -> str:
    """Return a file size in kB or MB (powers of ten)."""
    if n_bytes < 1_000_000:
        return f"{n_bytes / 1000:,.1f}{_SPACE}kB"
    return f"{n_bytes / 1_000_000:,.1f}{_SPACE}MB"
