"""The arbiter on full case files: says what the columns say, trusts no self-signed word against reads, sees through forgery."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from reference.settlement_windows import made_window

from contracts_model import Verdict
from contracts_model.evidence import Fulfilment, append_record, check_chain
from sim.arrays import IndexColumn
from sim.settlement.claims import CaseFile, Promises, draw_up_case
from sim.settlement.evidence import Evidence, compare, deadlines_ms, gather_evidence, roadside_units, separations
from sim.settlement.outcome import Enforcement
from sim.settlement.records import Traversal, chain_of_traversals, fixes_exhibit, times_ms, traversal_of
from sim.spec import ContractRules

# Weak evidence, so that every clause of the rule decides some claims.
RULES = ContractRules(roadside_units=0.5, hit_rate=0.6, gps_share=0.5, gps_noise_m=400.0, conviction_odds=20.0)
WINDOW = made_window(120, 11)
TRUTH = np.arange(120) % 2 == 0


class Scene:
    """Everything about the window that an arbiter needs."""

    def __init__(self, rules: ContractRules = RULES) -> None:
        self.done: Enforcement = WINDOW.enforce(rules, drove_target=TRUTH)
        detours, mover = WINDOW.detours, WINDOW.contracts.mover
        self.has_unit = roadside_units(WINDOW.network.n_links, rules.roadside_units, 1, 0)
        counts = compare(detours, mover, TRUTH, self.has_unit, rules, 1, 0)
        apart = separations(WINDOW.network, detours, np.ascontiguousarray(counts[:, 6]), WINDOW.link_time_s, rules)
        deadline = deadlines_ms(detours, WINDOW.link_time_s, rules)
        self.evidence: Evidence = gather_evidence(detours, mover, counts, apart, TRUTH, WINDOW.link_time_s, deadline, rules, 1, 0)
        self.promises = Promises(detours, deadline, self.done.escrows.accounts, self.has_unit, rules, 1)

    def case(self, contract: int) -> CaseFile:
        mover = int(WINDOW.contracts.mover[contract])
        return draw_up_case(
            self.promises, contract, mover, self.evidence, bool(TRUTH[contract]), self.has_unit, WINDOW.link_time_s,
            RULES.hit_rate, 1, 0,
        )  # fmt: skip

    def judge(self, contract: int, case: CaseFile) -> Verdict:
        return self.promises.judge(contract, case, 0, 0)

    def pick(self, **wanted: object) -> int:
        """First contract whose evidence has these values."""
        fits = np.ones(120, np.bool_)
        for name, value in wanted.items():
            column = TRUTH if name == "truth" else getattr(self.evidence, name)
            fits &= column == value
        return int(np.flatnonzero(fits)[0])


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_it_says_of_every_case_file_what_the_columns_say(scene: Scene) -> None:
    said = [int(scene.judge(contract, scene.case(contract))) for contract in range(120)]
    np.testing.assert_array_equal(said, scene.evidence.verdict)
    rejected = scene.evidence.verdict == int(Verdict.REJECTED)
    # Reads alone, and silence or fixes alone, each convict somebody.
    assert (rejected & (scene.evidence.baseline_reads > 0)).any()
    assert (rejected & (scene.evidence.baseline_reads == 0)).any()
    assert not (rejected & TRUTH & (scene.evidence.target_reads > 0)).any()


def test_the_whole_window_rests_on_the_same_evidence(scene: Scene) -> None:
    np.testing.assert_array_equal(scene.done.evidence.verdict, scene.evidence.verdict)
    np.testing.assert_array_equal(scene.done.evidence.gps_log_ratio, scene.evidence.gps_log_ratio)


def test_honest_records_are_a_sound_chain_of_the_whole_target(scene: Scene) -> None:
    contract = scene.pick(truth=True)
    records = scene.case(contract).fulfilment.records
    assert check_chain(records, scene.promises.keys).name == "NONE"
    steps = [traversal_of(record) for record in records]
    assert [step.link for step in steps if step] == WINDOW.detours.target_of(contract).tolist()
    assert steps[0] and steps[0].in_ms == round(WINDOW.detours.departure_s[contract] * 1000)
    assert all(before and after and before.out_ms == after.in_ms for before, after in pairwise(steps))


def test_a_forger_has_no_countersignature_off_his_own_route(scene: Scene) -> None:
    for contract in np.flatnonzero(~TRUTH)[:20].tolist():
        driven = WINDOW.detours.baseline_of(contract).tolist()
        records = scene.case(contract).fulfilment.records
        assert all(record.witness < 0 for record in records if (s := traversal_of(record)) and s.link not in driven)


def test_a_countersignature_cannot_be_forged(scene: Scene) -> None:
    """Without the roadside's key the chain is unsound, and an unsound chain is no chain."""
    contract = scene.pick(truth=False, baseline_reads=0, has_fixes=False, verdict=int(Verdict.ACCEPTED))
    case = scene.case(contract)
    roadside = scene.promises.accounts.roadside
    forged = tuple(replace(record, witness=roadside, countersignature=bytes(32)) for record in case.fulfilment.records)
    assert scene.judge(contract, case) is Verdict.ACCEPTED
    assert scene.judge(contract, replace(case, fulfilment=Fulfilment(records=forged))) is not Verdict.ACCEPTED


def test_a_changed_record_breaks_the_chain(scene: Scene) -> None:
    contract = scene.pick(truth=True, target_reads=0, has_fixes=False, verdict=int(Verdict.ACCEPTED))
    case = scene.case(contract)
    first, *others = case.fulfilment.records
    step = traversal_of(first)
    assert step is not None
    changed = replace(first, body=replace(step, in_ms=step.in_ms - 1).packed())
    assert scene.judge(contract, replace(case, fulfilment=Fulfilment(records=(changed, *others)))) is Verdict.NOT_FINAL


def test_records_of_another_vehicle_are_no_evidence(scene: Scene) -> None:
    contract = scene.pick(truth=True, target_reads=0, has_fixes=False, verdict=int(Verdict.ACCEPTED))
    accounts, links = scene.promises.accounts, WINDOW.detours.target_of(contract)
    stranger = int(accounts.performers[contract]) + 1
    times = times_ms(0.0, WINDOW.link_time_s[links])
    stolen = chain_of_traversals(scene.promises.keys, stranger, accounts.roadside, links, times, np.zeros(len(links), np.bool_))
    assert scene.judge(contract, replace(scene.case(contract), fulfilment=Fulfilment(records=stolen))) is Verdict.NOT_FINAL
    # Nor are records about this vehicle that somebody else has signed.
    vehicle, lent = int(accounts.performers[contract]), ()
    for link, (in_ms, out_ms) in zip(links.tolist(), times, strict=True):
        lent = append_record(lent, scene.promises.keys, stranger, Traversal(vehicle, link, in_ms, out_ms).packed())
    assert scene.judge(contract, replace(scene.case(contract), fulfilment=Fulfilment(records=lent))) is Verdict.NOT_FINAL


def test_silence_is_no_rejection(scene: Scene) -> None:
    contract = scene.pick(truth=True, target_reads=0, has_fixes=False, verdict=int(Verdict.ACCEPTED))
    assert scene.judge(contract, CaseFile(Fulfilment(), ())) is Verdict.NOT_FINAL


def test_a_claim_of_another_route_is_none(scene: Scene) -> None:
    contract = scene.pick(truth=True, target_reads=0, has_fixes=False, verdict=int(Verdict.ACCEPTED))
    accounts, target = scene.promises.accounts, WINDOW.detours.target_of(contract)
    half = -(-len(target) // 2)
    elsewhere = np.setdiff1d(np.arange(WINDOW.network.n_links), target)[:1]

    def claim(links: IndexColumn) -> Verdict:
        times, nowhere = times_ms(0.0, WINDOW.link_time_s[links]), np.zeros(len(links), np.bool_)
        vehicle = int(accounts.performers[contract])
        chain = chain_of_traversals(scene.promises.keys, vehicle, accounts.roadside, links, times, nowhere)
        return scene.judge(contract, CaseFile(Fulfilment(records=chain), ()))

    # Records may be missing, up to half of them; none may be of another link, nor in another order.
    assert claim(target) is claim(target[:half]) is claim(target[-half:]) is Verdict.ACCEPTED
    assert claim(target[: half - 1]) is Verdict.NOT_FINAL
    assert claim(target[::-1]) is Verdict.NOT_FINAL
    assert claim(np.concatenate((target, elsewhere))) is Verdict.NOT_FINAL


def test_the_sealed_units_word_outweighs_the_movers(scene: Scene) -> None:
    contract = scene.pick(truth=True, target_reads=0, has_fixes=False, verdict=int(Verdict.ACCEPTED))
    keys, accounts = scene.promises.keys, scene.promises.accounts
    vehicle, hashes = int(accounts.performers[contract]), scene.promises.hashes_of(contract)
    case = scene.case(contract)
    against = fixes_exhibit(keys, vehicle, accounts.sealed_unit, -50.0, *hashes)
    assert scene.judge(contract, replace(case, exhibits=(*case.exhibits, against))) is Verdict.REJECTED
    # The same word signed by the wrong actor, about somebody else, or about other routes counts for nothing.
    for wrong in (
        fixes_exhibit(keys, vehicle, accounts.watch, -50.0, *hashes),
        fixes_exhibit(keys, vehicle + 1, accounts.sealed_unit, -50.0, *hashes),
        fixes_exhibit(keys, vehicle, accounts.sealed_unit, -50.0, hashes[1], hashes[0]),
    ):
        assert scene.judge(contract, replace(case, exhibits=(*case.exhibits, wrong))) is Verdict.ACCEPTED


def test_a_record_that_is_handed_in_again_says_nothing_new() -> None:
    """A weak word against an honest mover must not become a conviction by being repeated."""
    scene = Scene(RULES.model_copy(update={"roadside_units": 0.0, "gps_share": 0.0}))
    contract = scene.pick(truth=True, verdict=int(Verdict.ACCEPTED))
    case, hashes = scene.case(contract), scene.promises.hashes_of(contract)
    accounts, vehicle = scene.promises.accounts, int(scene.promises.accounts.performers[contract])
    weak = fixes_exhibit(scene.promises.keys, vehicle, accounts.sealed_unit, -1.0, *hashes)
    assert scene.judge(contract, case) is Verdict.ACCEPTED
    for times in (1, 2, 10):
        assert scene.judge(contract, replace(case, exhibits=(*case.exhibits, *[weak] * times))) is Verdict.ACCEPTED
    others = [fixes_exhibit(scene.promises.keys, vehicle, accounts.sealed_unit, -1.0 - 0.01 * n, *hashes) for n in range(10)]
    assert scene.judge(contract, replace(case, exhibits=(*case.exhibits, *others))) is Verdict.REJECTED


def test_a_read_on_the_baseline_alone_convicts(scene: Scene) -> None:
    contract = scene.pick(truth=True, verdict=int(Verdict.ACCEPTED))
    case, accounts = scene.case(contract), scene.promises.accounts
    vehicle = int(accounts.performers[contract])
    link = int(np.setdiff1d(WINDOW.detours.baseline_of(contract), WINDOW.detours.target_of(contract))[0])
    body = Traversal(vehicle, link, 0, 1).packed()
    read = Fulfilment(records=append_record((), scene.promises.keys, accounts.roadside, body))
    assert scene.judge(contract, replace(case, exhibits=(*case.exhibits, read))) is Verdict.REJECTED
    by_anybody = Fulfilment(records=append_record((), scene.promises.keys, accounts.watch, body))
    assert scene.judge(contract, replace(case, exhibits=(*case.exhibits, by_anybody))) is Verdict.ACCEPTED


def test_who_arrives_too_late_has_not_kept_his_promise() -> None:
    """With times ten times as long as agreed everybody is late, whatever route he drove."""
    late = WINDOW.enforce(ContractRules(delay_share=1.0, delay_s=0.0), driven_time_s=WINDOW.link_time_s * 10.0)
    assert (late.evidence.followed == int(Verdict.ACCEPTED)).all()
    assert (late.evidence.verdict == int(Verdict.REJECTED)).all()
    assert late.convicted.all()
