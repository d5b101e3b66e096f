from s3filters.s3.reply import Reply


class Closing(list):
    closed = False

    def close(self):
        self.closed = True


def answer(reply, method="GET"):
    seen = []
    body = reply({"REQUEST_METHOD": method}, lambda status, headers: seen.extend((status, headers)))
    return (*seen, body)


def test_bytes_have_their_length_and_headers_their_case():
    assert answer(Reply(200, [("ETag", '"x"')], b"abc")) == (
        "200 OK",
        [("ETag", '"x"'), ("Content-Length", "3")],
        [b"abc"],
    )


def test_no_length_is_sent_where_there_is_no_body():
    assert answer(Reply(204))[1] == []


def test_an_iterable_goes_out_as_it_is():
    body = Closing([b"a", b"b"])
    status, headers, sent = answer(Reply(206, [("Content-Length", "2")], body))
    assert (status, headers) == ("206 Partial Content", [("Content-Length", "2")])
    assert sent is body


def test_a_head_request_gets_the_headers_alone_and_the_body_is_closed():
    body = Closing([b"a"])
    assert answer(Reply(200, [("Content-Length", "1")], body), "HEAD")[2] == []
    assert body.closed


def test_it_is_a_response_of_webob():
    reply = Reply(200, [("ETag", '"x"')], b"abc")
    assert (reply.status_code, reply.etag, reply.body) == (200, "x", b"abc")
