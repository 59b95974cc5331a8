"""Certificates for tests: an authority of its own, a server certificate for localhost, a client's self-signed certificate for assertions."""
import datetime as dt
import ipaddress
import pathlib
import types

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def make(folder):
    """Files below `folder`: authority, server, server_key, client, client_key, client_both (key and certificate in one file)."""
    folder = pathlib.Path(folder)
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    client_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    authority_name = name("assay test authority")
    authority = signed(authority_name, authority_key.public_key(), authority_name, authority_key, x509.BasicConstraints(ca=True, path_length=0), x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False))
    server = signed(name("localhost"), server_key.public_key(), authority_name, authority_key, x509.BasicConstraints(ca=False, path_length=None),
                    x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName("*.queue.localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()))
    client = signed(name("assay test client"), client_key.public_key(), name("assay test client"), client_key, x509.BasicConstraints(ca=False, path_length=None))
    out = types.SimpleNamespace()
    for what, text in {"authority": pem(authority), "server": pem(server), "server_key": key(server_key), "client": pem(client), "client_key": key(client_key),
                       "client_both": key(client_key) + pem(client)}.items():
        path = folder / f"{what}.pem"
        path.write_bytes(text)
        setattr(out, what, path)
    return out


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def signed(subject, public_key, issuer, issuer_key, *extensions):
    now = dt.datetime.now(dt.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=30)).add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, (x509.BasicConstraints, x509.KeyUsage)))
    return builder.sign(issuer_key, hashes.SHA256())


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key(private):
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
