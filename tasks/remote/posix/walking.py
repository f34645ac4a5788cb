"""Walking: folder by folder, by the rules of the worker."""


def literal_tails(regex):
    """Return texts of which every match of this expression ends with one, or none when that cannot be told."""
    try:
        if sys.version_info >= (3, 11):
            from re import _parser as parser
        else:
            import sre_parse as parser
        parsed = parser.parse(regex)
        state = getattr(parsed, "state", None) or parsed.pattern
        tails = [] if state.flags & re.IGNORECASE else ends_of(list(parsed))
        return [] if "" in tails else tails
    except (ImportError, AttributeError, ValueError, TypeError, re.error):
        return []


def ends_of(items):
    tails = [""]
    for operation, argument in reversed(items):
        kind = str(operation)
        if kind == "LITERAL":
            tails = [chr(argument) + tail for tail in tails]
        elif kind == "BRANCH":
            ends = [end for branch in argument[1] for end in ends_of(list(branch))]
            return [end + tail for end in ends for tail in tails]
        elif kind == "SUBPATTERN" and len(argument) == 4 and not argument[1] and not argument[2]:
            return [end + tail for end in ends_of(list(argument[3])) for tail in tails]
        elif kind != "AT":
            break
    return tails


class Rule:
    """A standing rule that leaves something out."""

    def __init__(self, document):
        self.id = str(document["id"])
        self.dirs_only = bool(document.get("dirs_only"))
        self.min_size = int(document.get("min_size") or 0)
        self.tag = os.fsencode(document.get("tag") or "")
        self.text = document.get("regex") or ""
        # (?i) at the start of one expression must not reach into the others that it is joined with.
        flags = re.match(r"\(\?([a-zA-Z]+)\)", self.text)
        if flags:
            self.text = "(?%s:%s)" % (flags.group(1), self.text[flags.end() :])
        self.regex = re.compile(self.text, re.DOTALL)
        self.tails = literal_tails(self.text)
        self.reason = "too-large" if self.min_size else "excluded"

    def agrees(self, path, is_dir, size):
        if self.dirs_only and not is_dir:
            return False
        if self.min_size and (is_dir or size < self.min_size):
            return False
        return not self.text or self.regex.fullmatch(path) is not None


class Rules:
    """All rules of a walk, sorted so that most entries cost one look at how their path ends."""

    def __init__(self, documents):
        rules = [Rule(document) for document in documents]
        self.tags = [rule for rule in rules if rule.tag]
        self.rules = [rule for rule in rules if not rule.tag]
        self.for_dirs = self.prepare(self.rules)
        self.for_files = self.prepare([rule for rule in self.rules if not rule.dirs_only])

    @staticmethod
    def prepare(rules):
        tails = tuple(tail for rule in rules for tail in rule.tails)
        others = [rule for rule in rules if not rule.tails]
        joined = re.compile("|".join("(?:%s)" % rule.text if rule.text else "(?:.*)" for rule in others), re.DOTALL)
        return rules, tails, joined if others else None

    def find(self, path, is_dir, size):
        """Return the first rule that excludes this entry, or None."""
        rules, tails, joined = self.for_dirs if is_dir else self.for_files
        if not path.endswith(tails) and (joined is None or joined.fullmatch(path) is None):
            return None
        for rule in rules:
            if rule.agrees(path, is_dir, size):
                return rule
        return None

    def find_tag(self, path):
        """Return the rule whose tag file this folder holds, or None."""
        for rule in self.tags:
            try:
                with Place(join(path, rule.tag)) as place:
                    fd = os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place.fd)
                try:
                    if stat.S_ISREG(os.fstat(fd).st_mode) and os.read(fd, len(TAG_SIGNATURE)) == TAG_SIGNATURE:
                        return rule
                finally:
                    os.close(fd)
            except OSError:
                continue
        return None


class Asked:
    """A path that was asked for (``root``), or that leads to some."""

    def __init__(self):
        self.below = {}
        self.root = False

    def add(self, parts):
        node = self
        for part in parts:
            node = node.below.setdefault(part, Asked())
        node.root = True

    def roots(self, path):
        """Return the paths asked for at and below this one."""
        found = [path] if self.root else []
        for name in sorted(self.below):
            found.extend(self.below[name].roots(join(path, name)))
        return found


class Walk:
    """One walk over the roots; ``run`` is a generator that yields the rows it has sent."""

    def __init__(self, reply, rows, document):
        self.reply = reply
        self.rows = rows
        self.rules = Rules([])
        self.asked = Asked()
        self.early = []  # (path, reason, detail) of roots that lead nowhere
        only = document.get("only")
        if only is not None:
            for path in only:
                self.asked.add(parts_of(decode_path(path)))
            self.deep = False
        else:
            self.deep = True
            try:
                self.rules = Rules(document.get("rules") or [])
            except (re.error, KeyError, TypeError, ValueError) as error:
                raise RequestError("bad-rule", str(error))
            self.seen = set()
            for path in document["roots"]:
                self.add_root(decode_path(path))
        self.mounts = Mounts()  # after the roots were looked at: that may have mounted some

    def add_root(self, path):
        """Ask for a root, and when it leads through a symlink, for the real place too."""
        parts = parts_of(path)
        step = b"/"
        for index, part in enumerate(parts):
            step = join(step, part)
            try:
                entry = lstat(step)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR):
                    break  # found missing, and told, by the walk
                skip = skip_of(error)
                self.early.append((path, skip.reason, skip.detail))
                return
            if stat.S_ISLNK(entry.st_mode):
                self.asked.add(parts[: index + 1])
                try:
                    real = realpath(path)
                except OSError as error:
                    self.early.append((path, "loop", os.strerror(error.errno)))
                    return
                if real not in self.seen:
                    self.seen.add(real)
                    self.add_root(real)
                return
        wake(step)
        self.asked.add(parts)

    def skip(self, path, reason, rule="", detail=""):
        fields = {"path": encode_path(path), "reason": reason}
        if rule:
            fields["rule"] = rule
        if detail:
            fields["detail"] = detail
        self.reply.send("skip", fields)

    def skip_asked(self, path, asked, error):
        skip = skip_of(error)
        for root in asked.roots(path):
            self.skip(root, skip.reason, detail=skip.detail)

    def run(self):
        for path, reason, detail in self.early:
            self.skip(path, reason, detail=detail)
        whole = self.deep and self.asked.root
        stack = [(b"/", self.asked, whole, 0)]
        chain = []  # (device, inode) of the folders above
        while stack:
            path, asked, whole, depth = stack.pop()
            del chain[depth:]
            self.reply.tick()
            if whole:
                folders = yield from self.folder(path, asked, chain)
            else:
                folders = yield from self.way(path, asked)
                chain.append(None)
            for name, below, whole_below in reversed(folders):
                stack.append((join(path, name), below, whole_below, depth + 1))

    def send_rows(self, path, rows, last):
        text = '{"path":%s,"rows":[%s],"last":%s}' % (
            encode_json(encode_path(path)),
            ",".join(rows),
            "true" if last else "false",
        )
        self.reply.send("entry", self.rows.header({}), text.encode("ascii"))

    def way(self, path, asked):
        """Send the rows of a folder that lead to what was asked for; return its folders among them."""
        rows = []
        folders = []
        for name in sorted(asked.below):
            below = asked.below[name]
            child = join(path, name)
            try:
                with Place(child) as place:
                    entry = os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
                    short = child if place.fd is None else None
                    text, lost = self.rows.row(name, short, entry, place.fd)
            except OSError as error:
                self.skip_asked(child, below, error)
                continue
            rows.append(text)
            self.tell_lost(child, lost)
            if stat.S_ISDIR(entry.st_mode):
                whole = self.deep and below.root
                if whole and self.mounts.virtual_around(child):
                    self.skip(child, "excluded", "virtual-filesystem")
                    rows.pop()
                    continue
                folders.append((name, below, whole))
            else:
                for further in sorted(below.below):
                    for root in below.below[further].roots(join(child, further)):
                        self.skip(root, "vanished", detail=os.strerror(errno.ENOTDIR))
        self.send_rows(path, rows, True)
        yield len(rows) + 1
        return folders

    def tell_lost(self, path, lost):
        for reason, detail in lost:
            self.skip(path, reason, detail=detail)

    def folder(self, path, asked, chain):
        """Send all rows of a folder that no rule excludes; return its folders among them."""
        try:
            fd = open_far(path, os.O_RDONLY)
        except OSError as error:
            skip = skip_of(error)
            self.skip(path, skip.reason, detail=skip.detail)
            chain.append(None)
            return []
        try:
            own = os.fstat(fd)
            mark = (own.st_dev, own.st_ino)
            loop = mark in chain
            chain.append(mark)
            if loop:
                self.skip(path, "loop", detail="the folder contains itself")
                return []
            try:
                names = sorted(map(os.fsencode, os.listdir(fd)))
            except OSError as error:
                skip = skip_of(error)
                self.skip(path, skip.reason, detail=skip.detail)
                return []
            return (yield from self.children(path, fd, own, names, asked))
        finally:
            os.close(fd)

    def children(self, path, fd, own, names, asked):
        prefix = path if path == b"/" else path + b"/"
        prefix_text = prefix.decode("utf-8", "replace")
        short = len(prefix) + 255 <= MAX_PATH
        below = asked.below if asked is not None else {}
        if below:
            for name in sorted(set(below).difference(names)):
                self.skip_asked(prefix + name, below[name], OSError(errno.ENOENT, ""))
        rows = []
        folders = []
        size = cost = 0
        for name in names:
            child = prefix + name
            try:
                entry = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError as error:
                if child in self.mounts.types:  # such as a FUSE mount of the user, closed even to root
                    self.skip(child, "excluded", "other-filesystem")
                else:
                    skip = skip_of(error)
                    self.skip(child, skip.reason, detail=skip.detail)
                continue
            is_dir = stat.S_ISDIR(entry.st_mode)
            child_asked = below.get(name)
            whole = True
            if child_asked is None or not child_asked.root:
                rule, reason = self.excluded(child, prefix_text + name.decode("utf-8", "replace"), entry, own)
                if reason:
                    self.skip(child, reason, rule)
                    if child_asked is None:
                        continue
                    whole = False  # only the way to the root in it
            elif is_dir and self.mounts.virtual(child):
                self.skip(child, "excluded", "virtual-filesystem")
                continue
            try:
                text, lost = self.rows.row(name, child if short else None, entry, fd)
            except OSError as error:
                skip = skip_of(error)
                self.skip(child, skip.reason, detail=skip.detail)
                continue
            if size + len(text) > MAX_PAYLOAD - SOFT_PAYLOAD and rows:
                self.send_rows(path, rows, False)
                cost, rows, size = len(rows), [], 0
                yield cost
            rows.append(text)
            size += len(text) + 1
            if lost:
                self.tell_lost(child, lost)
            if is_dir:
                folders.append((name, child_asked, whole))
        self.send_rows(path, rows, True)
        yield len(rows) + 1
        return folders

    def excluded(self, child, text, entry, own):
        """Return rule and reason when an entry that is no root is left out, else two empty texts."""
        is_dir = stat.S_ISDIR(entry.st_mode)
        if is_dir and entry.st_dev != own.st_dev and self.mounts.foreign(child):
            return ("virtual-filesystem" if self.mounts.virtual(child) else "other-filesystem"), "excluded"
        rule = self.rules.find(text, is_dir, entry.st_size)
        if rule is None and is_dir and self.rules.tags:
            rule = self.rules.find_tag(child)
        if rule is not None:
            return rule.id, rule.reason
        if MACOS and getattr(entry, "st_flags", 0) & SF_DATALESS:
            return "", "cloud-only"
        return "", ""
