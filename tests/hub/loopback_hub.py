"""A Hub on this machine's loopback: the requests of huggingface_hub, answered from memory."""

import hashlib
import http.server
import json
import re
import threading
import urllib.parse


class LoopbackHub:
    """Repositories by name: `branches` from name to commit, `commits` from hash to files."""

    def __init__(self):
        self.repositories: dict[str, dict] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.messages: list[str] = []  # of the commits
        self.large: set[str] = set()  # sha256 of what went up as a large file
        self.faults: list[dict] = []  # see _Handler.fail
        self.collections: dict[str, dict] = {}
        self.headers: list[str] = []  # of authorization, as they came
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def commit(self, repo, branch, changes):
        repository = self.repositories[repo]
        files = dict(repository["commits"].get(repository["branches"].get(branch), {}))
        for path, data in changes.items():
            if data is None:
                files.pop(path, None)
            else:
                digest = hashlib.sha256(data).hexdigest()
                self.blobs[digest] = data
                files[path] = digest
        number = len(repository["commits"])
        sha = hashlib.sha1(f"{repo} {number}".encode()).hexdigest()
        repository["commits"][sha] = files
        repository["branches"][branch] = sha
        return sha

    def find(self, repo, revision):
        """The commit that a revision means, or None."""
        repository = self.repositories[repo]
        names = repository["branches"] | repository.get("tags", {})
        sha = names.get(revision, revision)
        return sha if sha in repository["commits"] else None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub
    cut = None  # bytes after which the connection breaks

    def log_message(self, *_arguments):
        pass

    def do_HEAD(self):
        self.answer()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = self.read_chunks()
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if path == "/count":
            return self.send({"count": len(self.hub.requests)})
        if path == "/tamper":  # changes one bit of every large file, and no length
            for digest in self.hub.large:
                data = bytearray(self.hub.blobs[digest])
                data[-1] ^= 1
                self.hub.blobs[digest] = bytes(data)
            return self.send({})
        if path == "/faults":
            self.hub.faults = json.loads(self.body)
            return self.send({})
        if path == "/grow":  # a byte more for a file of the main branch, or the added one less
            asked = json.loads(self.body)
            repository = self.hub.repositories[asked["repo"]]
            files = repository["commits"][repository["branches"]["main"]]
            data = self.hub.blobs[files[asked["file"]]]
            self.hub.blobs[files[asked["file"]]] = data[:-1] if data[-1:] == b"+" else data + b"+"
            return self.send({})
        if path == "/requests":
            return self.send(self.hub.requests)
        self.hub.requests.append(f"{self.command} {path}")
        self.hub.headers.append(self.headers.get("Authorization", ""))
        for fault in self.hub.faults:
            if fault.get("times", 1) and re.fullmatch(fault["match"], f"{self.command} {path}"):
                fault["times"] = fault.get("times", 1) - 1
                return self.fail(fault)
        return self.dispatch()

    def dispatch(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        path = path.replace("/api/spaces/", "/api/models/space.")
        for pattern, method in ROUTES:
            match = re.fullmatch(pattern, f"{self.command} {path}")
            if match:
                return method(self, **match.groupdict())
        return self.send({"error": f"no such route: {path}"}, 404)

    def read_chunks(self):
        data = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def send(self, body, status=200, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        ranged = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if ranged and status == 200:
            whole, data, status = len(data), data[int(ranged[1]) :], 206
            span = f"bytes {ranged[1]}-{whole - 1}/{whole}"
            headers = {**(headers or {}), "Content-Range": span}
        self.send_response(status)
        for key, value in {"Content-Length": len(data), **(headers or {})}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(data[: self.cut])
        if self.cut is not None:
            self.cut = None
            self.close_connection = True

    def fail(self, fault):
        """Answer with a `status` and `headers`; or send `cut` bytes of the file and hang up."""
        if "cut" not in fault:
            return self.send({"error": "asked for"}, fault["status"], fault.get("headers"))
        self.cut = fault["cut"]
        return self.dispatch()

    def refuse(self, code, status=404):
        self.send({"error": code}, status, {"X-Error-Code": code, "X-Error-Message": code})

    def create(self):
        wanted = json.loads(self.body)
        space = "space." if wanted.get("type") == "space" else ""
        repo = f"{space}{wanted['organization']}/{wanted['name']}"
        known = repo in self.hub.repositories
        url = f"{self.hub.url}/{repo}"
        if not known:
            private = wanted.get("visibility", "") == "private" or bool(wanted.get("private"))
            self.hub.repositories[repo] = {"branches": {}, "commits": {}, "private": private}
            self.hub.commit(repo, "main", {".gitattributes": b"*.h5 filter=lfs\n"})
        self.send({"url": url, "name": repo, "id": repo}, 409 if known else 200)

    def validate(self):
        self.send({"errors": [], "warnings": []})

    def branch(self, repo, name):
        branches = self.hub.repositories[repo]["branches"]
        known = name in branches
        branches.setdefault(name, branches["main"])
        self.send({}, 409 if known else 200)

    def tag(self, repo, revision):
        tags = self.hub.repositories[repo].setdefault("tags", {})
        name = json.loads(self.body)["tag"]
        known = name in tags
        tags.setdefault(name, self.hub.find(repo, revision))
        self.send({}, 409 if known else 200)

    def refs(self, repo):
        repository = self.hub.repositories[repo]
        self.send(
            {
                kind: [
                    {"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": sha}
                    for name, sha in repository.get(kind, {}).items()
                ]
                for kind, folder in (("branches", "heads"), ("tags", "tags"), ("converts", "x"))
            }
        )

    def create_collection(self):
        wanted = json.loads(self.body)
        slug = f"{wanted['namespace']}/{wanted['title'].lower().replace(' ', '-')}-1"
        about = {"slug": slug, "title": wanted["title"], "owner": {"name": wanted["namespace"]}}
        rest = {"items": [], "lastUpdated": "2026-01-01T00:00:00.000Z", "theme": "blue"}
        shown = {"position": 0, "private": False, "upvotes": 0, "gating": False}
        self.hub.collections[slug] = about | rest | shown
        self.send(self.hub.collections[slug])

    def list_collections(self):
        shown = self.hub.collections.values()
        self.send([{k: v for k, v in one.items() if k != "position"} for one in shown])

    def collection(self, slug):
        self.send(self.hub.collections[slug])

    def add_item(self, slug):
        wanted = json.loads(self.body)
        items = self.hub.collections[slug]["items"]
        new = {"_id": str(len(items)), "id": wanted["item"]["id"], "position": len(items)}
        items.append(new | {"type": wanted["item"]["type"], "note": {"text": wanted.get("note")}})
        self.send(self.hub.collections[slug])

    def models(self):
        self.send([{"id": repo, "_id": repo} for repo in self.hub.repositories])

    def preupload(self, repo, revision):
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".h5") else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in json.loads(self.body)["files"]
        ]
        self.send({"files": files})

    def batch(self, repo):
        objects = [
            {"oid": item["oid"], "size": item["size"]}
            # What is there already is not asked for.
            | (
                {}
                if item["oid"] in self.hub.large
                else {"actions": {"upload": {"href": f"{self.hub.url}/large/{item['oid']}"}}}
            )
            for item in json.loads(self.body)["objects"]
        ]
        self.send({"transfer": "basic", "objects": objects})

    def store(self, oid):
        self.hub.blobs[oid] = self.body
        self.hub.large.add(oid)
        self.send({})

    def commit(self, repo, revision):
        import base64

        changes = {}
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                self.hub.messages.append(value["summary"])
                parent = value.get("parentCommit")
                if parent not in (None, self.hub.find(repo, revision)):
                    return self.send({"error": "another commit came between"}, 412)
            elif entry["key"] == "file":
                changes[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                changes[value["path"]] = self.hub.blobs[value["oid"]]
            elif entry["key"] == "deletedFile":
                changes[value["path"]] = None
        sha = self.hub.commit(repo, revision, changes)
        url = f"{self.hub.url}/{repo}/commit/{sha}"
        return self.send({"commitUrl": url, "commitOid": sha, "pullRequestUrl": None})

    def tree(self, repo, revision):
        files = self.hub.repositories[repo]["commits"][self.hub.find(repo, revision)]
        self.send([self.entry(path, oid) for path, oid in files.items()])

    def entry(self, path, oid):
        data = self.hub.blobs[oid]
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        entry = {"type": "file", "path": path, "oid": git, "size": len(data)}
        if oid in self.hub.large:
            entry["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 130}
        return entry

    def info(self, repo, revision="main"):
        if repo not in self.hub.repositories:
            return self.refuse("RepoNotFound")
        sha = self.hub.find(repo, revision)
        if sha is None:
            return self.refuse("RevisionNotFound")
        files = self.hub.repositories[repo]["commits"][sha]
        siblings = [{"rfilename": path} for path in files]
        return self.send({"id": repo, "sha": sha, "siblings": siblings})

    def resolve(self, repo, revision, path):
        state = self.hub.repositories.get(repo, {}).get("state")
        if state == "gated":
            return self.refuse("GatedRepo", 403)
        if isinstance(state, dict):  # renamed
            return self.send(b"", 307, {"Location": f"/{state['to']}/resolve/{revision}/{path}"})
        if repo not in self.hub.repositories:
            return self.refuse("RepoNotFound")
        sha = self.hub.find(repo, revision)
        if sha is None:
            return self.refuse("RevisionNotFound")
        oid = self.hub.repositories[repo]["commits"][sha].get(path)
        if oid is None:
            return self.refuse("EntryNotFound")
        data = self.hub.blobs[oid]
        headers = {"ETag": f'"{oid}"', "X-Repo-Commit": sha}
        if oid in self.hub.large:
            headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": len(data)}
        return self.send(data, 200, headers)


REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
ROUTES = [
    (r"POST /api/repos/create", _Handler.create),
    (r"POST /api/validate-yaml", _Handler.validate),
    (r"GET /api/models", _Handler.models),
    (r"POST /api/collections", _Handler.create_collection),
    (r"GET /api/collections", _Handler.list_collections),
    (r"GET /api/collections/(?P<slug>[^/]+/[^/]+)", _Handler.collection),
    (r"POST /api/collections/(?P<slug>[^/]+/[^/]+)/items?", _Handler.add_item),
    (rf"POST /api/models/{REPO}/branch/(?P<name>.+)", _Handler.branch),
    (rf"POST /api/models/{REPO}/tag/(?P<revision>.+)", _Handler.tag),
    (rf"GET /api/models/{REPO}/refs", _Handler.refs),
    (rf"POST /api/models/{REPO}/preupload/(?P<revision>.+)", _Handler.preupload),
    (rf"POST /{REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /large/(?P<oid>\w+)", _Handler.store),
    (rf"POST /api/models/{REPO}/commit/(?P<revision>.+)", _Handler.commit),
    (rf"GET /api/models/{REPO}/tree/(?P<revision>.+)", _Handler.tree),
    (rf"GET /api/models/{REPO}", _Handler.info),
    (rf"GET /api/models/{REPO}/revision/(?P<revision>.+)", _Handler.info),
    (rf"(HEAD|GET) /{REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler.resolve),
]
