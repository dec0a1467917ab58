"""What a policy does to one value: numbers, times, places, pseudonyms, noise."""

from __future__ import annotations

import hmac
import math
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.mask_policies import one, policy
from ulnn_rules import exact, float64, instants, noise, places
from ulnn_rules.keeper import Key
from ulnn_rules.mask import Policy

# ---- numbers ------------------------------------------------------------------------------------

SMALL = st.floats(-1e15, 1e15, allow_nan=False) | st.integers(-(10**15), 10**15)


@given(SMALL)
def test_a_number_is_an_exact_fraction(value: float) -> None:
    n, d = exact.fraction(value)
    assert Fraction(n, d) == Fraction(value)


@given(st.decimals(-(10**12), 10**12, places=6), st.sampled_from(["%s", " %s", "%se-3", "%sE+2"]))
def test_a_text_is_an_exact_fraction(value: Any, form: str) -> None:
    text = form % value
    if "E" not in str(value):
        n, d = exact.fraction(text)
        assert Fraction(n, d) == Fraction(text.strip())


@pytest.mark.parametrize("text", ["", "-", ".", "1_0", "0x1", "1e", "1e999", "٣", "nan", "1,5",
                                  "1.2.3", "--1", "1 2", "1" * 41, "1e18", "+-1"])  # fmt: skip
def test_texts_that_are_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        exact.fraction(text)


@given(st.integers(0, 10**30))
def test_root(n: int) -> None:
    assert float64.root(n) == math.isqrt(n)


STEPS = st.sampled_from([1, 5, 250, 0.5, 0.25, 0.1, 0.01, 2.5, 0.003])


@given(SMALL, STEPS)
def test_round_to_a_step(value: float, step: float) -> None:
    exactly = Fraction(str(step))
    assert one({"do": "round", "step": step}, value) == float(
        round(Fraction(value) / exactly) * exactly
    )


@given(SMALL, st.sampled_from([(0, 1), (-5, 17.5), (-0.1, 0.1)]), st.just(0) | STEPS)
def test_clip(value: float, ends: tuple[float, float], step: float) -> None:
    low, high = (Fraction(str(end)) for end in ends)
    want = Fraction(value)
    if step:
        want = round(want / Fraction(str(step))) * Fraction(str(step))
    rule = {"do": "clip", "low": ends[0], "high": ends[1]} | ({"step": step} if step else {})
    assert one(rule, value) == float(max(low, min(high, want)))


# ---- times --------------------------------------------------------------------------------------

MOMENTS = st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1))
ZONES = st.none() | st.integers(-23 * 60, 23 * 60)


@given(st.dates())
def test_dates(day: date) -> None:
    number = (day - date(1970, 1, 1)).days
    assert instants.days(day.year, day.month, day.day) == number
    assert instants.date(number) == (day.year, day.month, day.day)


@given(
    MOMENTS, ZONES, st.sampled_from([("1 min", 60), ("15min", 900), ("1h", 3600), ("7 d", 604800)])
)
def test_times_to_a_bucket(moment: datetime, zone: int | None, bucket: tuple[str, int]) -> None:
    aware = moment.replace(tzinfo=UTC if zone is None else timezone(timedelta(minutes=zone)))
    text = moment.isoformat() if zone is None else aware.isoformat()
    seconds = math.floor(aware.timestamp()) // bucket[1] * bucket[1]
    want = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    rule = {"do": "round", "bucket": bucket[0]}
    assert one(rule, text) == want.isoformat() + ("" if zone is None else "Z")
    assert one(rule | {"unit": "ms"}, int(aware.timestamp() * 1000)) == 1000 * seconds


@given(MOMENTS)
def test_times_to_a_month_and_a_year(moment: datetime) -> None:
    day = moment.date()
    assert one({"do": "round", "bucket": "year"}, day.isoformat()) == f"{day.year:04}-01-01"
    month = one({"do": "round", "bucket": "month"}, str(moment))
    assert month == f"{day.year:04}-{day.month:02}-01T00:00:00"


@pytest.mark.parametrize("text", [
    "2024-02-30", "2023-02-29", "2024-13-01", "17.03.1965", "2024-1-1", "2024-05-31T25:00",
    "2024-05-31 12", "2024-05-31T12:00:00.x", "2024-05-31T12:00+25:00", "2024-05-31T12:00 Anna",
    "2024-05-31 Anna Muster", "2024-05-31Z", "2024-05-31T12:00Zab", "٢٠٢٤-05-31", "yesterday",
])  # fmt: skip
def test_texts_that_are_no_times(text: str) -> None:
    assert one({"do": "round", "bucket": "1 d"}, text) is ...


# ---- places -------------------------------------------------------------------------------------

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


@given(LATITUDES, LONGITUDES, st.sampled_from([20, 100, 1000, 25_000]))
def test_a_cell_is_as_wide_as_was_said(lat: float, lon: float, metres: int) -> None:
    rules = {
        "lat": {"do": "round", "metres": metres},
        "lon": {"do": "round", "metres": metres, "at": "lat"},
    }
    made = policy(rules)
    left = made.filter({"lat": lat, "lon": lon}, "send")
    # in a cell everything is alike, and its neighbour is at least that far away
    north = 2 * metres / 110_574 + 1e-4
    assert abs(left["lat"] - lat) <= north
    k = places.latitude(*exact.fraction(lat), metres)
    assert left["lat"] == k / 10_000
    degrees = places._step(metres) / 10_000
    assert degrees * 110_574 >= metres
    if abs(lat) < 80:
        east = metres / (111_320 * math.cos(math.radians(abs(lat))))
        beside = lon - math.copysign(0.49 * east, lon)  # a longitude, too, at 180 degrees
        far = made.filter({"lat": lat, "lon": beside}, "send")["lon"]
        assert abs(left["lon"] - lon) <= 1.2 * east + 1e-4
        at_the_edge = 180 in (abs(far), abs(left["lon"]))
        assert far == left["lon"] or abs(far - left["lon"]) >= 0.95 * east or at_the_edge


def test_a_place_without_its_latitude_does_not_leave() -> None:
    rules = {
        "lat": {"do": "round", "metres": 100},
        "lon": {"do": "round", "metres": 100, "at": "lat"},
    }
    made = policy(rules)
    assert made.filter({"lon": 11.5}, "send") == {}
    assert made.filter({"lat": 91, "lon": 11.5}, "send") == {}
    assert made.filter({"lat": 90, "lon": 11.5}, "send") == {"lat": 90, "lon": 0}
    assert made.counts["unfit"] == 3


# ---- pseudonyms ------------------------------------------------------------------------


@given(st.binary(min_size=16, max_size=200), st.binary(max_size=300))
def test_hmac(secret: bytes, message: bytes) -> None:
    assert Key(secret).digest(message) == hmac.digest(secret, message, "sha256")


def test_hmac_of_rfc_4231() -> None:
    digest = Key(b"\x0b" * 20).digest(b"Hi There").hex()
    assert digest == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"


def test_pseudonyms_link_within_a_domain_and_a_key() -> None:
    rule = {"do": "pseudonym", "length": 12}
    name = one(rule, "p-17")
    assert name.startswith("k1-")
    assert len(name) == 3 + 12
    assert one(rule, " p-17 ") == name
    assert one(rule, 17) == one(rule, "17") == one(rule, 17.0)
    assert one(rule, "P-17") != name
    assert one(rule | {"domain": "device"}, "p-17") != name
    assert one(rule | {"domain": "v"}, "p-17") == name
    for value in ("", "  ", True, 1.5, [1]):
        assert one(rule, value) is ...
    assert one(rule, None) is None


# ---- noise --------------------------------------------------------------------------------------


def shares(draw: Callable[[], int], count: int) -> Counter[int]:
    return Counter(draw() for _ in range(count))


def seeded(seed: int) -> noise.Random:
    return noise.Random(random.Random(seed).randbytes)


def far_off(found: Counter[int], weight: Callable[[int], float], reach: int) -> float:
    """Chi-squared in standard deviations, over -reach to reach."""
    count, total = sum(found.values()), sum(weight(z) for z in range(-400, 401))
    chi = 0.0
    for z in range(-reach, reach + 1):
        want = count * weight(z) / total
        chi += (found[z] - want) ** 2 / want
    return (chi - 2 * reach) / math.sqrt(4 * reach)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (7, 2), (3, 4), (20, 1)])
def test_the_discrete_laplace_distribution(n: int, d: int) -> None:
    source = seeded(n)
    found = shares(lambda: source.laplace(n, d), 20_000)
    assert abs(far_off(found, lambda z: math.exp(-abs(z) * d / n), max(2, 2 * n // d))) < 4


@pytest.mark.parametrize(("n", "d"), [(1, 1), (9, 2), (1, 3), (100, 1)])
def test_the_discrete_gaussian_distribution(n: int, d: int) -> None:
    source = seeded(d)
    found = shares(lambda: source.gauss(n, d), 15_000)
    reach = max(1, int(2 * math.sqrt(n / d)))
    assert abs(far_off(found, lambda z: math.exp(-z * z * d / (2 * n)), reach)) < 4


@pytest.mark.parametrize("byte", [0, 255, 170])
def test_a_source_that_is_not_random_ends(byte: int) -> None:
    made = Policy(
        {"fields": {"v": {"do": "noise", "low": 0, "high": 9, "epsilon": 1}},
         "budget": {"epsilon": 100}}, random=lambda n: bytes([byte]) * n,
    )  # fmt: skip
    for _ in range(3):
        left = made.filter({"v": 5, "w": 1}, "send")
        assert left == {} or abs(left["v"]) < 10**6


def test_the_gaussian_variance_keeps_its_promise() -> None:
    for epsilon, digits, steps in ((1, 5, 1), (0.1, 6, 100), (5, 9, 7)):
        n, d = noise.variance(steps, round(epsilon * 1e6), digits)
        rho = steps**2 / (2 * n / d)
        assert rho + 2 * math.sqrt(rho * digits * math.log(10)) <= epsilon
        assert rho + 2 * math.sqrt(rho * digits * math.log(10)) >= 0.99 * epsilon


def test_noise_is_that_of_the_whole_range() -> None:
    rule = {"do": "noise", "low": 0, "high": 10, "step": 0.5, "epsilon": 2}
    made = policy({"v": rule}, budget={"epsilon": 100_000})
    values = [made.filter({"v": 1e9}, "send")["v"] for _ in range(4000)]
    assert all(2 * v == int(2 * v) for v in values)
    assert abs(sum(values) / 4000 - 10) < 4 * 5 * math.sqrt(2 / 4000)  # scale 10 / 2
    mean = sum(abs(v - 10) for v in values) / 4000
    assert abs(mean - 5) < 0.4
