# SPDX-License-Identifier: Apache-2.0
"""Real registries as people run them: TLS with required client certificates configured only in
hosts.toml, passwords, tokens, mirrors, redirects."""
import base64
import json
import os
import shutil

import pytest

from lab import faults, processes, registry, tokens, trees, varve

USER, PASSWORD = "reader", "correct horse"


class Secured:
    """A registry that wants a client certificate, and its files below one directory."""

    def __init__(self, lab):
        self.authority = lab.authority()
        self.dir = self.authority.dir
        self.server_pair = self.authority.sign("server", server=True)
        self.client = self.authority.sign("client")
        self.registry = lab.registry(tls=self.server_pair, client_ca=self.authority.cert)
        self.lab = lab

    @property
    def reference(self):
        return f"{self.registry.host}/{self.lab.images.path('torture')}"

    def configure(self, program, client):
        """client: the value of the key, as TOML, or None."""
        line = f"client = {client}\n" if client else ""
        return program.hosts_toml(self.registry.host, (
            f'server = "https://{self.registry.host}"\n'
            f'[host."https://{self.registry.host}"]\n'
            f'ca = "{self.authority.cert}"\n{line}'))


@pytest.fixture(name="secured")
def secured_fixture(lab):
    return Secured(lab)


def read_something(lab, mount):
    for name in ("sizes/4096", "links/a/two"):
        assert trees.file_hash(mount.path(name)) == \
            trees.file_hash(os.path.join(lab.images.tree("torture"), name))


@pytest.mark.parametrize("form", ["one file", "a list of files", "a list of pairs"])
def test_client_certificates_come_from_hosts_toml_in_each_form(lab, secured, form):
    cert, key = secured.client
    both = os.path.join(secured.dir, "both.pem")
    with open(both, "wb") as file:
        for part in (cert, key):
            with open(part, "rb") as source:
                file.write(source.read())
    program = lab.varve()
    secured.configure(program, {"one file": f'"{both}"', "a list of files": f'["{both}"]',
                                "a list of pairs": f'[["{cert}", "{key}"]]'}[form])
    read_something(lab, program.mount(secured.reference))


def test_certificate_paths_are_relative_to_their_hosts_toml(lab, secured):
    program = lab.varve()
    directory = secured.configure(program, '[["client.cert", "client.key"]]')
    for path in secured.client:
        shutil.copy(path, directory)
    read_something(lab, program.mount(secured.reference))


def test_docker_style_certificate_files_without_a_hosts_toml_are_used(lab, secured):
    program = lab.varve()
    directory = os.path.join(program.hosts, secured.registry.host)
    os.makedirs(directory)
    shutil.copy(secured.authority.cert, os.path.join(directory, "ca.crt"))
    shutil.copy(secured.client[0], os.path.join(directory, "client.cert"))
    shutil.copy(secured.client[1], os.path.join(directory, "client.key"))
    read_something(lab, program.mount(secured.reference))


def test_without_a_client_certificate_the_error_says_what_is_wanted_and_where(lab, secured):
    program = lab.varve()
    secured.configure(program, None)
    said = program.refused(varve.UNAUTHORIZED, secured.reference)
    assert "wants a client certificate" in said and "`client` configures none" in said


def test_a_client_certificate_of_another_authority_is_named_when_it_is_refused(lab, secured):
    program = lab.varve()
    cert, key = lab.authority("stranger").sign("client")
    secured.configure(program, f'[["{cert}", "{key}"]]')
    said = program.refused(varve.UNAUTHORIZED, secured.reference)
    assert "certificate" in said and cert in said


def test_an_expired_client_certificate_is_found_before_it_is_sent(lab, secured):
    program = lab.varve()
    cert, key = secured.authority.sign("old", days=-1)
    secured.configure(program, f'[["{cert}", "{key}"]]')
    said = program.refused(varve.INVALID, secured.reference)
    assert f"{cert} expired on" in said and "hosts.toml" in said
    assert secured.registry.requests() == []


@pytest.mark.parametrize("wrong", ["swapped", "key of another", "absent", "not PEM"])
def test_what_is_wrong_with_a_certificate_file_is_said_with_its_name(lab, secured, wrong):
    program = lab.varve()
    cert, key = secured.client
    other = secured.authority.sign("other")
    noise = os.path.join(secured.dir, "noise.cert")
    with open(noise, "wb") as file:
        file.write(os.urandom(500))
    pair = {"swapped": (key, cert), "key of another": (cert, other[1]),
            "absent": (cert + ".none", key), "not PEM": (noise, key)}[wrong]
    secured.configure(program, f'[["{pair[0]}", "{pair[1]}"]]')
    arguments = program.mount_arguments(secured.reference, program.target("mnt"), ())
    done = program.run(*arguments, code=None)
    assert done.returncode in (varve.INVALID, varve.UNAUTHORIZED, varve.NOT_FOUND, varve.BAD_DATA)
    assert pair[0] in done.stderr or pair[1] in done.stderr
    assert secured.registry.requests() == []


def test_a_registry_whose_authority_is_not_trusted_is_refused_with_the_cure(lab, secured):
    program = lab.varve()
    program.hosts_toml(secured.registry.host, f'server = "https://{secured.registry.host}"\n')
    said = program.refused(varve.UNAUTHORIZED, secured.reference)
    assert "not trusted" in said and "`ca`" in said


def test_one_wrong_field_refuses_the_namespace_and_is_named_with_its_line(lab, secured):
    program = lab.varve()
    directory = secured.configure(program, "5")
    said = program.refused(varve.INVALID, secured.reference)
    assert f"{directory}/hosts.toml: line 4:" in said and "client" in said


def test_certificates_replaced_on_disk_are_used_without_a_restart(lab, secured):
    program = lab.varve()
    cert, key = secured.client
    secured.configure(program, f'[["{cert}", "{key}"]]')
    mount = program.mount(secured.reference, "--no-background", "--prefetch=off")
    assert trees.file_hash(mount.path("sizes/4095"))

    fresh = registry.Authority(os.path.join(lab.dir, "fresh"))
    new_server, new_client = fresh.sign("server", server=True), fresh.sign("client")
    secured.registry.stop()
    shutil.copy(fresh.cert, secured.authority.cert)
    for new, old in zip(new_client, (cert, key)):
        shutil.copy(new, old)
    lab.registry(tls=new_server, client_ca=fresh.cert, port=secured.registry.port)
    read_something(lab, mount)


def htpasswd_registry(lab):
    path = registry.htpasswd_file(lab.path("htpasswd"), USER, PASSWORD)
    return lab.registry(htpasswd=path)


def docker_login(directory, host, user=USER, password=PASSWORD, name="config.json"):
    os.makedirs(directory, exist_ok=True)
    secret = base64.b64encode(f"{user}:{password}".encode()).decode()
    with open(os.path.join(directory, name), "w", encoding="ascii") as file:
        json.dump({"auths": {host: {"auth": secret}}}, file)


@pytest.mark.parametrize("place", ["DOCKER_CONFIG", "home", "REGISTRY_AUTH_FILE"])
def test_passwords_come_from_where_other_tools_put_them(lab, place):
    server = htpasswd_registry(lab)
    directory = lab.path("login")
    extra = {"DOCKER_CONFIG": {"DOCKER_CONFIG": directory}, "home": {},
             "REGISTRY_AUTH_FILE": {"REGISTRY_AUTH_FILE": f"{directory}/auth.json"}}[place]
    program = lab.varve(extra=extra)
    if place == "home":
        directory = os.path.join(program.env["HOME"], ".docker")
    docker_login(directory, server.host,
                 name="auth.json" if place == "REGISTRY_AUTH_FILE" else "config.json")
    mount = program.mount(f"{server.host}/{lab.images.path('torture')}", "--plain-http")
    read_something(lab, mount)


def test_a_password_comes_from_standard_input(lab):
    server = htpasswd_registry(lab)
    program = lab.varve()
    reference = f"{server.host}/{lab.images.path('torture')}"
    target = program.target("mnt")
    program.run(*program.mount_arguments(reference, target, (
        "--plain-http", "--detach", "--username", USER, "--password-stdin")),
        stdin=PASSWORD + "\n")
    assert trees.file_hash(os.path.join(target, "sizes/4096"))
    program.run("umount", target)


def test_a_credential_helper_is_asked(lab):
    server = htpasswd_registry(lab)
    helpers = lab.path("bin")
    os.makedirs(helpers)
    helper = os.path.join(helpers, "docker-credential-fixed")
    with open(helper, "w", encoding="ascii") as file:
        answer = json.dumps({"ServerURL": server.host, "Username": USER, "Secret": PASSWORD})
        file.write(f"#!/bin/sh\n[ \"$1\" = get ] && [ \"$(cat)\" = {server.host} ] && "
                   f"echo '{answer}'\n")
    os.chmod(helper, 0o755)
    program = lab.varve(extra={"PATH": f"{helpers}:{os.environ['PATH']}"})
    directory = os.path.join(program.env["HOME"], ".docker")
    os.makedirs(directory)
    with open(os.path.join(directory, "config.json"), "w", encoding="ascii") as file:
        json.dump({"credHelpers": {server.host: "fixed"}}, file)
    mount = program.mount(f"{server.host}/{lab.images.path('torture')}", "--plain-http")
    read_something(lab, mount)


def test_without_a_password_the_error_lists_where_one_was_looked_for(lab):
    server = htpasswd_registry(lab)
    program = lab.varve()
    said = program.refused(varve.UNAUTHORIZED, f"{server.host}/{lab.images.path('torture')}",
                           "--plain-http")
    assert os.path.join(program.env["HOME"], ".docker/config.json") in said
    assert "auth.json" in said


def test_a_wrong_password_is_an_error_that_says_where_it_is_from(lab):
    server = htpasswd_registry(lab)
    program = lab.varve()
    directory = os.path.join(program.env["HOME"], ".docker")
    docker_login(directory, server.host, password="wrong")
    said = program.refused(varve.UNAUTHORIZED, f"{server.host}/{lab.images.path('torture')}",
                           "--plain-http")
    assert os.path.join(directory, "config.json") in said


@pytest.mark.parametrize("user", [None, USER])
def test_tokens_are_fetched_from_the_server_that_the_registry_names(lab, user):
    server = lab.serve(tokens.TokenServer(lab.path("tokens"), user, PASSWORD))
    secured = lab.registry(token=server.registry_options())
    program = lab.varve()
    if user:
        docker_login(os.path.join(program.env["HOME"], ".docker"), secured.host)
    mount = program.mount(f"{secured.host}/{lab.images.path('torture')}", "--plain-http")
    read_something(lab, mount)
    scopes = {scope for _, parameters, _ in server.seen for scope in parameters["scope"]}
    assert scopes == {"repository:test/torture:pull"}
    # Cached: a token for the repository, not one for each request.
    assert len(server.seen) <= 4
    assert len(secured.requests()) > 2 * len(server.seen)


def test_a_mirror_that_is_down_and_one_without_the_image_leave_it_to_upstream(lab):
    upstream, empty = lab.registry(), lab.empty_registry()
    down = f"127.0.0.1:{processes.free_port()}"
    program = lab.varve()
    program.hosts_toml("images.example.com", (
        f'server = "http://{upstream.host}"\n'
        f'[host."http://{down}"]\ncapabilities = ["pull", "resolve"]\ndial_timeout = "2s"\n'
        f'[host."http://{empty.host}"]\ncapabilities = ["pull", "resolve"]\n'))
    mount = program.mount(f"images.example.com/{lab.images.path('torture')}")
    read_something(lab, mount)
    assert any(status == 404 for _, _, status, _ in empty.requests())
    assert all("ns=images.example.com" in path for _, path, _, _ in empty.requests())
    assert upstream.bytes_of_blobs() > 0
    hosts = {host["origin"]: host for host in program.status()["hosts"]}
    assert hosts[f"http://{down}"]["errors"] > 0 and hosts[f"http://{down}"]["last_error"]


def test_the_first_mirror_that_has_the_image_is_the_only_one_asked(lab):
    upstream, mirror = lab.registry(), lab.registry()
    program = lab.varve()
    program.hosts_toml("images.example.com", (
        f'server = "http://{upstream.host}"\n[host."http://{mirror.host}"]\n'))
    read_something(lab, program.mount(f"images.example.com/{lab.images.path('torture')}"))
    assert mirror.bytes_of_blobs() > 0 and upstream.requests() == []


def test_a_redirect_gets_neither_password_nor_certificate(lab):
    authority, public = lab.authority(), lab.authority("public")
    open_registry, closed = lab.registry(), htpasswd_registry(lab)
    pair = authority.sign("server", server=True)
    front = lab.proxy(closed.port, certificate=pair, client_ca=authority.cert)
    # The target asks for certificates of the same authority: it would get one if it were sent.
    target = lab.proxy(open_registry.port, certificate=public.sign("server", server=True),
                       client_ca=authority.cert)
    front.fault = faults.Redirected(target.base)
    cert, key = authority.sign("client")
    program = lab.varve(extra={"SSL_CERT_FILE": public.cert})
    program.hosts_toml(front.host, (
        f'server = "{front.base}"\nca = "{authority.cert}"\nclient = [["{cert}", "{key}"]]\n'
        f'[header]\nX-Secret = "only for the registry"\n'))
    docker_login(os.path.join(program.env["HOME"], ".docker"), front.host)
    mount = program.mount(f"{front.host}/{lab.images.path('torture')}")
    read_something(lab, mount)
    assert all(request.peer_certificate for request in front.seen)
    assert any("authorization" in request.headers for request in front.blobs())
    assert target.blobs()
    for request in target.seen:
        assert request.peer_certificate == {}
        assert not {"authorization", "x-secret"} & request.headers.keys()
        assert "ns=" not in request.path


def test_a_redirect_is_remembered_until_its_target_refuses(lab):
    behind = lab.registry()
    target, front = lab.proxy(behind.port), lab.proxy(behind.port)
    front.fault = faults.Redirected(target.base)
    program = lab.varve()
    mount = program.mount(f"{front.host}/{lab.images.path('base')}", "--plain-http",
                          "--no-background", "--prefetch=off")
    read_files(mount.path("usr/bin"), 40)
    resolved = front.fault.count
    assert len(target.blobs()) > 2 * resolved
    target.fault = faults.Expired(resolved)
    read_files(mount.path("usr/sbin"), 40)
    assert front.fault.count > resolved
    assert any(request.status == 403 for request in target.seen)


def read_files(directory, most):
    """Some of each file; every second one, so that requests do not merge."""
    names = sorted(os.listdir(directory))[:2 * most:2]
    for name in names:
        path = os.path.join(directory, name)
        if os.path.isfile(path) and not os.path.islink(path):
            trees.file_hash(path)


def test_proxy_variables_are_honoured(lab):
    proxy = lab.proxy(lab.registry().port)
    program = lab.varve(extra={"http_proxy": proxy.base})
    mount = program.mount(f"registry.example.com:5000/{lab.images.path('torture')}", "--plain-http")
    read_something(lab, mount)
    assert all(request.path.startswith("http://registry.example.com:5000/v2/")
               for request in proxy.seen)
