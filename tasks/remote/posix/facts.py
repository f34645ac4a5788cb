"""Facts: what a host is, who is there, and where their folders are."""


def text_of(path, limit=64 * 1024):
    """Return a small file's text, or "" when it cannot be read."""
    try:
        fd, _ = open_regular(realpath(path))
    except (Skip, RequestError, OSError):
        return ""
    try:
        return read_exact(fd, limit).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)


class Facts:
    """What there is to know about this host and its people."""

    #: What boards say that have no serial number.
    NO_SERIAL = ("", "0", "none", "default string", "to be filled by o.e.m.", "system serial number", "not specified")
    XDG = {
        "DESKTOP": ("desktop", b"Desktop"),
        "DOCUMENTS": ("documents", b"Documents"),
        "DOWNLOAD": ("downloads", b"Downloads"),
        "PICTURES": ("pictures", b"Pictures"),
        "MUSIC": ("music", b"Music"),
        "VIDEOS": ("videos", b"Videos"),
        "PUBLICSHARE": ("public", b"Public"),
        "TEMPLATES": ("templates", b"Templates"),
    }
    MAC = {
        "desktop": b"Desktop",
        "documents": b"Documents",
        "downloads": b"Downloads",
        "pictures": b"Pictures",
        "music": b"Music",
        "videos": b"Movies",
        "public": b"Public",
    }

    def __init__(self):
        self.serial, self.machine_id = self.from_ioreg() if MACOS else self.from_linux()
        self.hostname = os.uname().nodename
        if MACOS and self.hostname.endswith(".local"):
            self.hostname = self.hostname[: -len(".local")]

    def from_linux(self):
        serial = ""
        for name in (b"product_serial", b"board_serial", b"chassis_serial"):
            serial = text_of(b"/sys/class/dmi/id/" + name).strip()
            if serial.lower() not in self.NO_SERIAL:
                break
            serial = ""
        serial = serial or text_of(b"/sys/firmware/devicetree/base/serial-number").strip("\0 \n")
        return serial, (text_of(b"/etc/machine-id") or text_of(b"/var/lib/dbus/machine-id")).strip()

    def from_ioreg(self):
        output = output_of("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice").decode("utf-8", "replace")
        found = dict(re.findall(r'"(IOPlatformSerialNumber|IOPlatformUUID)" = "([^"]*)"', output))
        return found.get("IOPlatformSerialNumber", ""), found.get("IOPlatformUUID", "")

    def system(self):
        if MACOS:
            text = text_of(b"/System/Library/CoreServices/SystemVersion.plist")
            found = dict(re.findall(r"<key>(ProductName|ProductVersion)</key>\s*<string>([^<]*)</string>", text))
            return ("%s %s" % (found.get("ProductName", "macOS"), found.get("ProductVersion", ""))).strip()
        for path in (b"/etc/os-release", b"/usr/lib/os-release"):
            text = text_of(path)
            found = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
            if found:
                return found.group(1)
        return "%s %s" % (os.uname().sysname, os.uname().release)

    def hello(self):
        uid = os.geteuid()
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = str(uid)
        return {
            "v": PROTOCOL_VERSION,
            "helper": VERSION,
            "platform": PLATFORM,
            "hostname": self.hostname,
            "serial": self.serial,
            "user": user,
            "uid": uid,
            "time": int(time.time() * 1000000000),
            "pid": os.getpid(),
            "limits": self.limits(),
            "proves": True,
        }

    @staticmethod
    def limits():
        limits = []
        if isinstance(xattr_calls(), NoXattrs):
            limits.append("Extended attributes are not saved: the host's Python has no calls for them.")
        if MACOS:
            limits.append("Access lists of macOS are not saved; modes and owners are.")
        return limits

    def document(self, names):
        users = self.people() if names is None else self.named(names)
        profiles = [self.profile(user) for user in users]
        return {
            "platform": PLATFORM,
            "system": self.system(),
            "hostname": self.hostname,
            "serial": self.serial,
            "machine_id": self.machine_id,
            "python": "%d.%d.%d" % sys.version_info[:3],
            "uid": os.geteuid(),
            "time": int(time.time() * 1000000000),
            "users": profiles,
            "disk": self.disk([b"/"] + [decode_path(profile["home"]) for profile in profiles]),
        }

    @staticmethod
    def named(names):
        found = []
        for name in names:
            try:
                found.append(pwd.getpwnam(name))
            except (KeyError, ValueError):
                continue  # not a user of this host: left out
        return found

    def people(self):
        """Return people's accounts: those that the host lists, and those that own a folder in /home."""
        least = 501
        if not MACOS:
            # login.defs(5); what sssd and winbind give out is far above UID_MAX.
            found = re.search(r"^\s*UID_MIN\s+(\d+)", text_of(b"/etc/login.defs"), re.MULTILINE)
            least = int(found.group(1)) if found else 1000
        users = {}
        for user in pwd.getpwall():
            users.setdefault(user.pw_name, user)
        if not MACOS:
            for user in self.owners(b"/home", least):
                users.setdefault(user.pw_name, user)
        people = [user for user in users.values() if self.is_person(user, least)]
        return sorted(people, key=lambda user: (user.pw_uid, user.pw_name))

    @staticmethod
    def is_person(user, least):
        # 61184-65519: systemd's DynamicUser; 65534, 65535 and the last two of 32 bits: nobody.
        if user.pw_uid < least or 61184 <= user.pw_uid <= 65535 or user.pw_uid >= 4294967294:
            return False
        if user.pw_name.startswith("_") or user.pw_dir in ("", "/", "/nonexistent", "/dev/null", "/var/empty"):
            return False
        return os.path.isdir(user.pw_dir) or not user.pw_shell.endswith(("/nologin", "/false"))

    @staticmethod
    def owners(folder, least, deeper=True):
        """Yield the accounts whose home is in this folder, or one below it (``/home/<domain>/<user>``)."""
        try:
            names = os.listdir(folder)
        except OSError:
            return
        for name in names:
            path = join(folder, name)
            try:
                entry = os.lstat(path)
                if not stat.S_ISDIR(entry.st_mode):
                    continue
                if entry.st_uid >= least:
                    user = pwd.getpwuid(entry.st_uid)
                    if realpath(os.fsencode(user.pw_dir)) == path:
                        yield user
                elif deeper:
                    for user in Facts.owners(path, least, False):
                        yield user
            except (OSError, KeyError):
                continue

    def profile(self, user):
        home = os.fsencode(user.pw_dir)
        try:
            home = realpath(home)
            wake(home)
            exists = stat.S_ISDIR(lstat(home).st_mode)
        except OSError as error:
            exists = isinstance(error, PermissionError)  # it may be there, we may not look
        return {
            "name": user.pw_name,
            "uid": user.pw_uid,
            "gid": user.pw_gid,
            "home": encode_path(home),
            "full_name": user.pw_gecos.split(",")[0].strip(),
            "exists": exists,
            "folders": {key: encode_path(path) for key, path in self.folders(home).items()} if exists else {},
        }

    def folders(self, home):
        """Return what is at the user's Desktop, Documents and so on, by the names that the desktop gives them."""
        if MACOS:
            wanted = {key: join(home, name) for key, name in self.MAC.items()}
        else:
            wanted = {key: join(home, name) for key, name in self.XDG.values()}
            # xdg-user-dirs: lines of XDG_DESKTOP_DIR="$HOME/Schreibtisch" or with an absolute path.
            text = text_of(join(home, b".config/user-dirs.dirs"))
            for key, value in re.findall(r'^\s*XDG_([A-Z]+)_DIR="((?:[^"\\]|\\.)*)"', text, re.MULTILINE):
                path = re.sub(r"\\(.)", r"\1", value).encode("utf-8", "surrogatepass")
                if key in self.XDG and path.startswith((b"/", b"$HOME/")):
                    wanted[self.XDG[key][0]] = join(home, path[6:]) if path.startswith(b"$HOME/") else path
        found = {}
        for key, path in wanted.items():
            try:
                real = realpath(path.rstrip(b"/") or b"/")
                if real != home and stat.S_ISDIR(lstat(real).st_mode):
                    found[key] = real
            except OSError as error:
                if isinstance(error, PermissionError):
                    found[key] = path
        return found

    @staticmethod
    def disk(paths):
        found = []
        seen = set()
        for path in paths:
            try:
                device = os.stat(path).st_dev
                if device in seen:
                    continue
                seen.add(device)
                info = os.statvfs(path)
            except OSError:
                continue
            free, total = info.f_bavail * info.f_frsize, info.f_blocks * info.f_frsize
            found.append({"path": encode_path(path), "free": free, "total": total})
        return found
