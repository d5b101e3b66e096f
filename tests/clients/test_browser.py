"""A browser uses a bucket from a page of another origin: forms, fetch, and what it is refused."""

import json
import os
import uuid

import boto3
import pytest
from botocore.config import Config

from tests.clients import browser
from tests.raw import ACCESS_KEY, SECRET_KEY

pytestmark = pytest.mark.client

TEXT = "grüße, from a page\n" * 40_000  # more than is sent, or taken, at one go


@pytest.fixture(scope="module", autouse=True)
def chromium():
    if browser.program() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium")
        pytest.skip("no Chromium")


@pytest.fixture(scope="module")
def daemon(daemons):
    return daemons("http")


@pytest.fixture(scope="module")
def s3(daemon):
    made = boto3.client(
        "s3",
        endpoint_url=daemon.url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def pages():
    with browser.serving() as served:
        yield served


@pytest.fixture
def bucket(s3):
    name = f"page-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def run(pages, tmp_path):
    """Runs a script in a page and returns what it says."""

    def of(script, **values):
        names = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
        url = pages.script("/page", names + script)
        return browser.said(browser.open_page(url, tmp_path / "profile"))

    return of


def share(s3, bucket, origin, *methods):
    rule = {
        "AllowedOrigins": [origin],
        "AllowedMethods": list(methods),
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", "x-amz-meta-colour"],
    }
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})


def url(s3, operation, bucket, key, **more):
    return s3.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": key, **more})


FORM = """
    const form = new FormData();
    for (const [name, value] of Object.entries(post.fields)) form.append(name, value);
    form.append("file", new File([text], "letter.txt", {type: "text/plain"}));
"""
SUBMITTED = """
    const form = document.createElement("form");
    form.method = "POST"; form.enctype = "multipart/form-data"; form.action = post.url;
    const field = (name, value) => {
        const input = document.createElement("input");
        input.name = name; input.value = value; form.append(input);
    };
    for (const [name, value] of Object.entries(post.fields)) field(name, value);
    const file = document.createElement("input");
    const chosen = new DataTransfer();
    chosen.items.add(new File([text], "letter.txt", {type: "text/plain"}));
    file.type = "file"; file.name = "file"; file.files = chosen.files; form.append(file);
    document.body.append(form);
    form.submit();
    await new Promise(done => setTimeout(done, 20000));
"""


def test_a_form_that_is_submitted_stores_its_file_and_goes_where_it_says(
    s3, bucket, daemon, pages, tmp_path
):
    after = pages.script("/after", "say(location.search);")
    fields = {
        "success_action_redirect": after,
        "x-amz-meta-colour": "blau",
        "Content-Type": "text/plain",
    }
    post = s3.generate_presigned_post(
        bucket,
        "in/${filename}",
        Fields=fields,
        Conditions=[{name: value} for name, value in fields.items()],
    )
    names = f"const post = {json.dumps(post)}, text = {json.dumps(TEXT)};"
    page = pages.script("/form", names + SUBMITTED)
    told = browser.said(browser.open_page(page, tmp_path / "profile"))
    assert told.startswith(f"?bucket={bucket}&key=in%2Fletter.txt&etag=")
    assert (daemon.root / bucket / "in" / "letter.txt").read_text() == TEXT
    head = s3.head_object(Bucket=bucket, Key="in/letter.txt")
    assert head["Metadata"] == {"colour": "blau"}
    assert head["ContentType"] == "text/plain"


def test_a_page_sends_a_form_and_reads_what_was_answered(s3, bucket, daemon, pages, run):
    share(s3, bucket, pages.origin, "POST")
    post = s3.generate_presigned_post(
        bucket,
        "key",
        Fields={"success_action_status": "201"},
        Conditions=[{"success_action_status": "201"}, ["content-length-range", 1, 10_000_000]],
    )
    script = (
        FORM
        + """
        const answer = await fetch(post.url, {method: "POST", body: form});
        const told = new DOMParser().parseFromString(await answer.text(), "text/xml");
        say(`${answer.status} ${told.querySelector("Key").textContent}`);
        say(answer.headers.get("etag") === told.querySelector("ETag").textContent);
    """
    )
    assert run(script, post=post, text=TEXT) == "201 keytrue"
    assert (daemon.root / bucket / "key").read_text() == TEXT


def test_a_page_reads_that_its_form_was_refused(s3, bucket, pages, run):
    share(s3, bucket, pages.origin, "POST")
    limit = ["content-length-range", 1, 1000]
    post = s3.generate_presigned_post(bucket, "key", Conditions=[limit])
    script = (
        FORM
        + """
        const answer = await fetch(post.url, {method: "POST", body: form});
        say(`${answer.status} ${(await answer.text()).match("<Code>(.*)</Code>")[1]}`);
    """
    )
    assert run(script, post=post, text=TEXT[:1500]) == "400 EntityTooLarge"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_page_puts_and_reads_an_object_across_origins(s3, bucket, pages, run):
    share(s3, bucket, pages.origin, "GET", "PUT")
    script = """
        const sent = {"x-amz-meta-colour": "blue", "Content-Type": "text/plain"};
        const put = await fetch(putUrl, {method: "PUT", body: text, headers: sent});
        const got = await fetch(getUrl);
        const same = (await got.text()) === text;
        say(`${put.status} ${got.status} ${same} ${got.headers.get("x-amz-meta-colour")} `);
        say(put.headers.get("etag") === got.headers.get("etag"));
    """
    meta = {"Metadata": {"colour": "blue"}, "ContentType": "text/plain"}
    values = {
        "putUrl": url(s3, "put_object", bucket, "key", **meta),
        "getUrl": url(s3, "get_object", bucket, "key"),
    }
    assert run(script, text=TEXT, **values) == "200 200 true blue true"


def test_a_page_reads_errors_across_origins(s3, bucket, pages, run):
    share(s3, bucket, pages.origin, "GET")
    script = """
        for (const one of urls) {
            const answer = await fetch(one);
            say(`${answer.status} ${(await answer.text()).match("<Code>(.*)</Code>")[1]} `);
        }
    """
    good = url(s3, "get_object", bucket, "none")
    wrong = good.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601")
    assert run(script, urls=[good, wrong]) == "404 NoSuchKey 403 SignatureDoesNotMatch "


@pytest.mark.parametrize("origin", [None, "http://other.example"])
def test_a_page_that_no_rule_lets_in_reads_nothing_and_sends_no_put(s3, bucket, run, origin):
    if origin is not None:
        share(s3, bucket, origin, "GET", "PUT")
    s3.put_object(Bucket=bucket, Key="key", Body=b"secret")
    script = """
        for (const [method, one] of [["GET", getUrl], ["PUT", putUrl]]) {
            try {
                await fetch(one, method === "PUT" ? {method, body: "new"} : {});
                say("done ");
            } catch (error) { say(`${error.name} `); }
        }
    """
    values = {
        "getUrl": url(s3, "get_object", bucket, "key"),
        "putUrl": url(s3, "put_object", bucket, "key"),
    }
    assert run(script, **values) == "TypeError TypeError "
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"secret"
