"""The names in a client's certificate."""

from otlp_capture.receiver.access import Access, Principal
from otlp_capture.receiver.tls import names_in_certificate
from otlp_capture.result import Success


def test_a_directory_is_no_name_of_a_client() -> None:
    directory = ((("countryName", "FR"),),)
    names = names_in_certificate(
        {"subject": (), "subjectAltName": (("DirName", directory), ("DNS", "edge.example"))}
    )

    assert Access().authenticate((), names) == Success(Principal("edge.example"))
