"""A certificate that a test makes for itself, with the openssl command."""

import subprocess


def make_certificate(folder):
    """Return the path, as text, of a PEM file with a key and a certificate for localhost."""
    key, chain, both = (folder / name for name in ("key.pem", "chain.pem", "both.pem"))
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {key} -out {chain}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    both.write_text(key.read_text() + chain.read_text())
    return str(both)
