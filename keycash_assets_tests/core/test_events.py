"""Messages of every shape, and of none: keys are found, the rest is said, nothing raises."""

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycash_assets.core.events import MAX_PROBLEMS, EventHints, read_event_message

BUCKET = "bucket"
PREFIX = "credit_requests"


def _read(body: str) -> EventHints:
    return read_event_message(body, BUCKET, PREFIX)


def _record(key: object, bucket: object = BUCKET, name: str = "ObjectCreated:Put") -> object:
    return {
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 2, "eTag": "e"}},
    }


def _notification(*records: object) -> str:
    return json.dumps({"Records": records})


def _eventbridge(key: str) -> str:
    detail = {"version": "0", "bucket": {"name": BUCKET}, "object": {"key": key}}
    return json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})


def _sns(body: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:…", "Message": body})


@given(st.text(min_size=1, max_size=40))
def test_a_key_comes_out_of_every_shape_as_it_is_in_the_bucket(name: str) -> None:
    """A key read wrongly is not found in the bucket, and its object waits for a listing."""
    key = f"{PREFIX}/{name}"
    encoded = _notification(_record(quote_plus(key)))
    for body in (encoded, _sns(encoded), _eventbridge(key), _sns(_eventbridge(key))):
        assert _read(body) == EventHints(frozenset({key}), 0, ())


@pytest.mark.parametrize("encoding", ["%20", "+"])
def test_a_blank_is_read_in_both_of_its_spellings(encoding: str) -> None:
    body = _notification(_record(f"{PREFIX}/a{encoding}b%2Bc%C3%A9.json"))
    assert _read(body).keys == {f"{PREFIX}/a b+cé.json"}


def test_every_kind_of_event_is_a_hint() -> None:
    """What happened is seen in the bucket: an event of a removal may be older than a new object."""
    names = ["ObjectCreated:CompleteMultipartUpload", "ObjectRemoved:Delete", "ObjectRestore:Post"]
    records = [_record(f"{PREFIX}/{n}", name=name) for n, name in enumerate(names)]
    assert len(_read(_notification(*records)).keys) == len(names)


def test_the_whole_bucket_is_ours_where_there_is_no_prefix() -> None:
    assert read_event_message(_notification(_record("a")), BUCKET, "").keys == {"a"}


def test_keys_outside_the_prefix_are_counted_and_are_no_problem() -> None:
    """A bucket shared with others would otherwise fill the log."""
    elsewhere = [_record("other/a"), _record(PREFIX), _record(f"{PREFIX}-2/a")]
    told = _read(_notification(*elsewhere, _record(f"{PREFIX}/a")))
    assert told == EventHints(frozenset({f"{PREFIX}/a"}), 3, ())


def test_a_bad_record_does_not_hide_the_good_one_beside_it() -> None:
    told = _read(_notification({"s3": 1}, _record(f"{PREFIX}/a"), "x", _record("%FF")))
    assert told.keys == {f"{PREFIX}/a"}
    assert len(told.problems) == 3


POISON = {
    "nothing": ("", "not an event"),
    "not JSON": ("<xml/>", "not an event"),
    "not an object": ("[1]", "not an event"),
    "null": ("null", "not an event"),
    "deeply nested": ("[" * 100_000, "not an event"),
    "half a surrogate": ('"\ud800"', "not an event"),
    "no fields": ("{}", "names no object"),
    "another shape": ('{"Records": "many"}', "not an event"),
    "no records": ('{"Records": []}', "names no object"),
    "the test event": (
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}),
        "test event",
    ),
    "SNS with nonsense inside": (_sns("nonsense"), "not an event"),
    "EventBridge of another service": ('{"detail": {"state": "running"}}', "not an event"),
    "another bucket": (_notification(_record(f"{PREFIX}/a", "other")), "another bucket, 'other'"),
    "a key that is a number": (_notification(_record(1)), "no event"),
    "a key that is not UTF-8": (_notification(_record(f"{PREFIX}/%FF")), "no event"),
    "a key of half a surrogate": (_eventbridge(f"{PREFIX}/\ud800"), "not an event"),
    "an empty key": (_notification(_record("")), "an empty key"),
    "a key that is too long": (_notification(_record(f"{PREFIX}/" + "é" * 512)), "1,040 bytes"),
}


@pytest.mark.parametrize("name", POISON)
def test_a_poisoned_message_is_said_to_be_one(name: str) -> None:
    body, problem = POISON[name]
    told = _read(body)
    assert told.keys == set()
    assert problem in " ".join(told.problems)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "s3", "bucket", "name", "object", "key", "detail", "Message", "Event"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_a_message_full_of_problems_does_not_fill_the_log() -> None:
    """One message can have thousands of bad records, and comes again until it is deleted."""
    bad = [_record("a" * 100_000)] * 30
    told = _read(_notification(*bad, _record(f"{PREFIX}/a")))
    assert told.keys == {f"{PREFIX}/a"}
    assert len(told.problems) == MAX_PROBLEMS + 1
    assert told.problems[-1].startswith("20 more")
    assert sum(map(len, told.problems)) < 5_000


@given(st.text() | json_values.map(json.dumps))
def test_no_message_raises(body: str) -> None:
    """One that did would end every tick that receives it."""
    told = _read(body)
    assert told.keys or told.problems or told.elsewhere
