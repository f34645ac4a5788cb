"""What runs on a Linux or macOS host as the person whose settings they are: never as root, never from the disk.

The helper (``posix/person.py``) starts it as that person with this text and the operations of one request on standard
input, and passes its answers on, a JSON line each. Standard library only, in the syntax of Python 3.6. ``PROTOCOL.md``
lists the operations (``settings``).
"""

import base64
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

try:
    import ctypes
except ImportError:  # a Python without it
    ctypes = None

#: Content up to this size is sent, in bytes before base64; of a larger file only its hash.
MAX_CONTENT = 512 * 1024
#: What a command says beyond this is an error, in bytes.
MAX_OUTPUT = 512 * 1024
#: So do its errors, beyond this.
MOST_ERRORS = 1024 * 1024
#: How long what a command left running may take to end by itself, in seconds.
GRACE = 0.5
#: Files that one pattern may find.
MAX_FOUND = 2000


class Failed(Exception):
    """An operation failed: a word for programs, and words for people."""

    def __init__(self, reason, detail=""):
        Exception.__init__(self, reason)
        self.reason = reason
        self.detail = detail


REASONS = {
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "vanished",
    errno.ELOOP: "vanished",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "denied",
    errno.ENOSPC: "no-space",
    errno.EDQUOT: "no-space",
}


def failed(error):
    return Failed(REASONS.get(error.errno, "unreadable"), os.strerror(error.errno or 0))


# ------------------------------------------------------------------------------------------------------- files


def open_file(path):
    """Return an open regular file; a symlink in its place is followed: dotfiles are often kept elsewhere."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Failed("special", "it is no file")
    return fd


def read(path):
    """Return the entry of a file and its content, None when it is large, and its hash."""
    fd = open_file(path)
    with os.fdopen(fd, "rb") as file:
        entry = os.fstat(fd)
        content = file.read(MAX_CONTENT + 1)
        digest = hashlib.sha256(content)
        if len(content) <= MAX_CONTENT:
            return entry, content, digest.hexdigest()
        while True:
            piece = file.read(1 << 20)
            if not piece:
                return entry, None, digest.hexdigest()
            digest.update(piece)


def told(path):
    try:
        entry, content, digest = read(path)
    except OSError as error:
        raise failed(error)
    answer = {"size": entry.st_size, "mtime": entry.st_mtime_ns, "mode": stat.S_IMODE(entry.st_mode), "sha256": digest}
    if content is not None:
        answer["content"] = base64.b64encode(content).decode("ascii")
    return answer


def on_file(op):
    return told(op["path"])


def pattern_of(text):
    """Return a regular expression: ``*`` within a name, ``**`` any folders, nothing else, as in the catalog."""
    parts = []
    for part in text.split("/"):
        parts.append(None if part == "**" else part)
    result = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part is None:
            result += ".*" if last else "(?:[^/]+/)*"
        else:
            name = "".join("[^/]*" if c == "*" else re.escape(c) for c in part)
            result += name if last else name + "/"
    return re.compile(result + r"\Z", re.DOTALL)


def on_glob(op):
    """Return the files that a pattern names, sorted, and whether there are more than may be.

    A folder is not entered of which ``exclude`` leaves everything out: a name, or a pattern that describes its path.
    Folders that may not be looked into are ``denied``.
    """
    text = op["pattern"]
    outside = list(op.get("exclude") or ())
    names_outside = [pattern_of(one) for one in outside if "/" not in one]
    paths_outside = [pattern_of(one) for one in outside if "/" in one]

    def left_out(path, name):
        return any(one.match(name) for one in names_outside) or any(one.match(path) for one in paths_outside)

    fixed = text.partition("*")[0]
    if fixed == text:
        return {"paths": [text] if os.path.isfile(text) else [], "more": False}
    base = fixed[: fixed.rfind("/")] or "/"
    wanted = pattern_of(text)
    deep = "**" in text
    depth = text.count("/")
    found, denied = [], []

    def refused(error):
        if error.errno in (errno.EACCES, errno.EPERM):
            denied.append(error.filename)

    for folder, folders, names in os.walk(base, onerror=refused, followlinks=False):
        above = folder.rstrip("/") + "/"
        if not deep and folder.rstrip("/").count("/") >= depth - 1:
            del folders[:]
        folders[:] = sorted(name for name in folders if not left_out(above + name, name))
        for name in sorted(names):
            path = above + name
            if wanted.match(path) and not left_out(path, name) and os.path.isfile(path):
                if len(found) == MAX_FOUND:
                    return {"paths": found, "more": True, "denied": denied}
                found.append(path)
    return {"paths": found, "more": False, "denied": denied}


def unchanged(path, entry):
    """Return whether a file is still the one that was read, or still not there (None)."""
    try:
        now = os.stat(path)
    except OSError as error:
        return entry is None and error.errno == errno.ENOENT
    seen = None if entry is None else (entry.st_ino, entry.st_size, entry.st_mtime_ns)
    return (now.st_ino, now.st_size, now.st_mtime_ns) == seen


def on_put(op):
    """Write a file whole, when what stands there is what was expected: nothing (null) or a hash."""
    path, expect = op["path"], op.get("expect")
    content = base64.b64decode(op["content"])
    # Where a symlink leads: the file that the person keeps elsewhere is written, and the link stays.
    path = os.path.realpath(path)
    try:
        entry, _, digest = read(path)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise failed(error)
        entry, digest = None, None
    if digest != expect:
        raise Failed("conflict", "it was changed meanwhile")
    mode = stat.S_IMODE(entry.st_mode) if entry is not None else int(op.get("mode") or 0o600) & 0o777
    folder = os.path.dirname(path)
    temporary = None
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=".firstbell-", dir=folder)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(fd, mode)
            if op.get("mtime"):
                os.utime(fd, ns=(op["mtime"], op["mtime"]))
            os.fsync(fd)
        if not unchanged(path, entry):
            # The person saved it while ours went to the disk.
            raise Failed("conflict", "it was changed meanwhile")
        os.rename(temporary, path)
        temporary = None
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise failed(error)
    finally:
        if temporary is not None:
            try:
                os.unlink(temporary)
            except OSError:
                pass
    # Read again: what is told to be there is there.
    _, _, digest = read(path)
    if digest != hashlib.sha256(content).hexdigest():
        raise Failed("unreadable", "what was written cannot be read back")
    return {"sha256": digest}


def on_remove(op):
    """Remove a file that is still as it was expected."""
    try:
        _, _, digest = read(op["path"])
        if digest != op["expect"]:
            raise Failed("conflict", "it was changed meanwhile")
        os.unlink(op["path"])
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise failed(error)
    return {}


# ---------------------------------------------------------------------------------------------------- commands


def bus():
    """Return the address of the session bus of this person, signed in somewhere, or None."""
    path = "/run/user/%d/bus" % os.getuid()
    try:
        entry = os.stat(path)
    except OSError:
        return None
    return "unix:path=" + path if stat.S_ISSOCK(entry.st_mode) and entry.st_uid == os.getuid() else None


def environment():
    """Return an environment made anew: what root's shell had in its own is nobody else's matter."""
    found = {
        "HOME": HOME,
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/bin",
    }
    runtime = "/run/user/%d" % os.getuid()
    if os.path.isdir(runtime):
        found["XDG_RUNTIME_DIR"] = runtime
    else:
        # Without one, dconf would write into the home although it is only asked.
        found["XDG_RUNTIME_DIR"] = found["XDG_CACHE_HOME"] = scratch()
    if bus():
        found["DBUS_SESSION_BUS_ADDRESS"] = bus()
    return found


#: The folder of this run for what programs leave beside what they are asked, once there is one.
SCRATCH = []
SCRATCH_PREFIX = "firstbell-person-"


def scratch():
    if not SCRATCH:
        SCRATCH.append(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
    return SCRATCH[0]


def tidy():
    """Remove the folder of this run, and those of runs of this person that were killed more than a day ago."""
    folder = tempfile.gettempdir()
    old = []
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        try:
            entry = os.lstat(path)
        except OSError:
            continue
        mine = stat.S_ISDIR(entry.st_mode) and entry.st_uid == os.getuid()
        if name.startswith(SCRATCH_PREFIX) and mine and entry.st_mtime < time.time() - 86400:
            old.append(path)
    for path in SCRATCH + old:
        shutil.rmtree(path, ignore_errors=True)


def run(argv, data=b"", seconds=20, with_bus=False, more=None):
    """Run a command and return its exit code, output and errors. Everything that it started ends with it."""
    env = environment()
    env.update(more or {})
    name = argv[0]
    if shutil.which(name, path=env["PATH"]) is None:
        raise Failed("no-program", "there is no program '%s' on this computer" % name)
    if with_bus and sys.platform != "darwin" and not bus():
        if shutil.which("dbus-run-session", path=env["PATH"]) is None:
            raise Failed("no-program", "there is no program 'dbus-run-session' on this computer (package dbus)")
        argv = ["dbus-run-session", "--"] + list(argv)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                cwd=HOME if os.path.isdir(HOME) else "/",
                env=env,
                start_new_session=True,
            )
        except OSError as error:
            raise failed(error)
        try:
            late = not ended(process, data, seconds, (out, err))
        finally:
            end(process)
        out.seek(0)
        err.seek(0)
        said = out.read(MAX_OUTPUT + 1)
        if len(said) > MAX_OUTPUT or os.fstat(err.fileno()).st_size > MOST_ERRORS:
            raise Failed("too-large", "'%s' said more than %d kB" % (name, MAX_OUTPUT // 1000))
        if late:
            raise Failed("late", "'%s' did not answer within %d seconds" % (name, seconds))
        return process.returncode, said, err.read(4096)


def ended(process, data, seconds, files):
    """Feed a command and return whether it has ended in time, having said no more than it may.

    What it says is looked at meanwhile: it goes to a disk, which a program that says the same forever would fill.
    """
    until = time.monotonic() + seconds
    pause = 0.01
    while True:
        try:
            process.communicate(data, timeout=max(0.0, min(pause, until - time.monotonic())))
            return True
        except subprocess.TimeoutExpired:
            # The rest of what it is fed waits within: it must not be given once more.
            data, pause = None, min(pause * 2, 0.1)
        if time.monotonic() >= until or any(os.fstat(one.fileno()).st_size > MOST_ERRORS for one in files):
            return False


def adopt():
    """Become the parent of what a command leaves running (Linux: prctl(2), PR_SET_CHILD_SUBREAPER is 36)."""
    if ctypes is not None and sys.platform != "darwin":
        try:
            libc = ctypes.CDLL(None)
            libc.prctl(36, 1, 0, 0, 0)
            # When the helper is killed we are told to end (PR_SET_PDEATHSIG is 1), and so is what we run.
            libc.prctl(1, int(signal.SIGTERM), 0, 0, 0)
        except (OSError, AttributeError):
            pass  # then only its process group ends with it


def stop(number, _):
    """End, and what runs with us: by the way of every other end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + number)


def end(process):
    """End a command with all that it started: first asked to, since a bus takes its socket away then."""
    kill_group(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        kill_group(process.pid, signal.SIGKILL)
        process.wait()
    # What runs in a session of its own is no more in the group, but ours, once its parents have ended.
    end_children()
    kill_group(process.pid, signal.SIGKILL)


def end_children():
    """End all processes of ours, those that their parents left to us too."""
    begun = time.monotonic()
    pause = 0.002
    while time.monotonic() < begun + 5:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except OSError:
            break  # there are none
        if pid == 0:
            number = signal.SIGTERM if time.monotonic() < begun + GRACE else signal.SIGKILL
            for child in children():
                try:
                    os.kill(child, number)
                except OSError:
                    pass
            time.sleep(pause)
            pause = min(pause * 2, 0.05)


def kill_group(group, number):
    try:
        os.killpg(group, number)
    except OSError:
        pass  # nobody is in it any more


def children():
    """Return the numbers of our own processes, from /proc."""
    found = []
    for pid in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if pid.isdigit():
            try:
                with open("/proc/%s/stat" % pid, "rb") as file:
                    # The name in brackets may hold spaces and brackets itself.
                    if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                        found.append(int(pid))
            except (OSError, ValueError, IndexError):
                continue
    return found


def on_dconf(op):
    """Return what this person has set with dconf: its dump.

    Of their own database alone: what the computer sets for everybody (dconf(7), profiles) is no choice of theirs. Where
    the computer prescribes a profile, dconf reads no other one; ``defaults`` is what it says without their database.
    ``kept`` tells whether there is such a database, where nothing can read it.
    """
    own = own_database("/etc/dconf/profile/user")
    prescribed = os.path.exists("/run/dconf/user/%d" % os.getuid())
    more = {}
    if own and not prescribed:
        more["DCONF_PROFILE"] = os.path.join(scratch(), "profile")
        with open(more["DCONF_PROFILE"], "w") as file:
            file.write("user-db:%s\n" % own)
    try:
        answer = {"program": True, "text": dumped(more, not own)}
        if prescribed:
            answer["defaults"] = dumped({"XDG_CONFIG_HOME": scratch()}, False)
    except Failed as error:
        if error.reason != "no-program":
            raise
        return {"program": False, "kept": os.path.exists(os.path.join(HOME, ".config/dconf", own or "user"))}
    return answer


def own_database(profile):
    """Return the name of a person's own database in a profile, empty for one of another kind (read as it is)."""
    try:
        with open(profile, errors="replace") as file:
            lines = [line.partition("#")[0].strip() for line in file]
    except OSError:
        return "user"
    kind, _, name = next((line for line in lines if line), "").partition(":")
    return name.strip() if kind == "user-db" else ""


def dumped(more, with_bus):
    code, out, err = run(["dconf", "dump", "/"], with_bus=with_bus, more=more)
    if code != 0:
        raise Failed("unreadable", "dconf ended with %d: %s" % (code, err.decode("utf-8", "replace").strip()[-500:]))
    return out.decode("utf-8", "replace")


def on_command(op):
    code, out, err = run(
        op["argv"], base64.b64decode(op.get("input") or ""), int(op.get("seconds") or 20), bool(op.get("bus"))
    )
    return {
        "exit": code,
        "out": base64.b64encode(out).decode("ascii"),
        "err": err.decode("utf-8", "replace").strip()[-500:],
    }


def on_programs(op):
    """Return which of these programs there are, and which of these patterns of paths name something."""
    env = environment()
    commands = [name for name in op.get("commands") or () if shutil.which(name, path=env["PATH"])]
    answer = {"commands": commands, "paths": [path for path in op.get("paths") or () if there(path)]}
    if op.get("running"):
        now = running()
        answer["running"] = [name for name in op["running"] if name in now]
    return answer


def running():
    """Return the names of the programs of this person that run now."""
    found = set()
    if os.path.isdir("/proc/self"):
        for pid in os.listdir("/proc"):
            try:
                if not pid.isdigit() or os.stat("/proc/" + pid).st_uid != os.getuid():
                    continue
                # The kernel cuts the name after 15 characters, so the program's file counts as well.
                with open("/proc/%s/comm" % pid) as file:
                    found.add(file.read().rstrip("\n"))
                found.add(os.path.basename(os.readlink("/proc/%s/exe" % pid)))
            except OSError:
                continue
        return found
    code, out, _ = run(["ps", "-x", "-U", str(os.getuid()), "-o", "comm="])
    if code != 0:
        raise Failed("unreadable", "'ps' does not tell what runs")
    return {os.path.basename(line.strip()) for line in out.decode("utf-8", "replace").splitlines()}


def there(pattern):
    parts = pattern.split("/")
    bases = ["/"]
    for part in parts[1:]:
        if "*" in part:
            found, wanted = [], pattern_of(part)
            for base in bases:
                try:
                    names = sorted(os.listdir(base))
                except OSError:
                    continue
                found.extend(os.path.join(base, name) for name in names if wanted.match(name))
            bases = found[:MAX_FOUND]
        else:
            bases = [os.path.join(base, part) for base in bases]
        bases = [base for base in bases if os.path.lexists(base)]
    return bool(bases)


def on_identity(op):
    """Return by what this profile is told from a new one, and where the variables of the catalog lead."""
    try:
        entry = os.stat(HOME)
    except OSError as error:
        raise failed(error)
    return {
        "account": "%d:%d:%s" % (os.getuid(), entry.st_ino, born(entry)),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "signed_in": bus() is not None if sys.platform != "darwin" else None,
        "full_disk_access": full_disk_access(),
    }


def born(entry):
    """Return when the home was made, empty where nobody knows: a new image gives a new home the number of the old one.

    Python has no call for it on Linux; stat (coreutils 8.31 or newer) tells it, "-" or 1970 when it is not known.
    """
    if hasattr(entry, "st_birthtime"):
        return "%.6f" % entry.st_birthtime
    try:
        code, out, _ = run(["stat", "-c", "%w", HOME])
    except Failed:
        return ""
    text = out.decode("ascii", "replace").strip()
    return text if code == 0 and text != "-" and not text.startswith("1970-") else ""


def full_disk_access():
    """Return on macOS whether protected folders may be read (null: nothing there to try); elsewhere null.

    Without it macOS shows an empty folder and no error, so something is tried that only it opens: TCC.db of the person
    is readable with Full Disk Access alone. https://developer.apple.com/forums/thread/114452
    """
    if sys.platform != "darwin":
        return None
    for path in ("Library/Application Support/com.apple.TCC/TCC.db", "Library/Safari/Bookmarks.plist"):
        try:
            os.close(os.open(os.path.join(HOME, path), os.O_RDONLY))
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                return False
            continue
        return True
    return None


def main():
    global HOME, USER
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    HOME, USER = request["home"], request["user"]
    os.umask(0o077)
    signal.signal(signal.SIGTERM, stop)
    adopt()
    try:
        serve(request)
    finally:
        # Of a command that had just begun when we were told to end nobody else knows.
        end_children()
        if SCRATCH:
            tidy()


def serve(request):
    for op in request["ops"]:
        call = globals().get("on_" + str(op.get("op")).replace("-", "_"))
        try:
            if call is None:
                raise Failed("unsupported", "no operation '%s'" % op.get("op"))
            if op["op"] in ("put", "remove") and not request.get("write"):
                raise Failed("refused", "writing is not allowed yet")
            answer = call(op)
            answer["ok"] = True
        except Failed as error:
            answer = {"ok": False, "reason": error.reason, "detail": error.detail}
        except (OSError, ValueError, KeyError, TypeError) as error:
            answer = {"ok": False, "reason": "unreadable", "detail": "%s: %s" % (type(error).__name__, error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
