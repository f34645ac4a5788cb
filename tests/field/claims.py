"""Every claim about real Windows that firstbell relies on and that could not be verified without it, numbered.

``docs/windows-field-checklist.md`` is written from this list; the checks of the same numbers are in ``checks_*.py``. A
number is never used again for something else: result files name them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Only = Literal["", "winrm", "ssh"]

#: Areas in the order in which they are tried.
AREAS = (
    "The link",
    "Starting the helper",
    "Rights",
    "Files",
    "Shadow copies",
    "OneDrive",
    "People and restore",
    "The spool",
    "OpenSSH",
    "All together",
)


@dataclass(frozen=True)
class Claim:
    """One claim. ``person`` is what somebody has to do when no program can confirm it."""

    number: str
    area: str
    claim: str
    how: str
    only: Only = ""
    #: Takes minutes; ``--quick`` leaves it out.
    slow: bool = False
    person: str = ""


CLAIMS: tuple[Claim, ...] = (
    # The link
    Claim(
        "FC-01",
        "The link",
        "`powershell.exe -InputFormat None` leaves standard input alone: the program reads every byte of it.",
        "3 MiB of random bytes are sent; the computer tells their SHA-256.",
    ),
    Claim(
        "FC-02",
        "The link",
        "What a program writes to its raw standard output arrives byte for byte, all 256 values.",
        "The computer sends 1 MiB; the bytes are compared.",
    ),
    Claim(
        "FC-03",
        "The link",
        "Input and output flow at the same time; over WinRM two connections use one shell.",
        "2 MiB are sent to a program that sends them back while they arrive.",
    ),
    Claim(
        "FC-04",
        "The link",
        "With plain `-Command`, errors arrive as text and not as CLIXML.",
        "`Write-Error` with a word; what arrives on standard error is looked at.",
    ),
    Claim(
        "FC-05",
        "The link",
        "A command line of 7,000 characters passes through cmd.exe whole.",
        "A program gets a word of that length and tells how long it is.",
    ),
    Claim(
        "FC-06",
        "The link",
        "A program ends when its link is closed.",
        "A program that waits for input tells its number; the link is closed; the number is looked for.",
    ),
    Claim(
        "FC-07",
        "The link",
        "A link on which nothing happens for three minutes still works.",
        "The helper is started, left alone for three minutes, and asked again.",
        slow=True,
    ),
    Claim(
        "FC-08",
        "The link",
        "A login that is refused is told as refused, at once.",
        "One login as an account that does not exist (so none can be locked).",
    ),
    Claim(
        "FC-09",
        "The link",
        "The WinRM service takes nothing unsealed and no Basic.",
        "`AllowUnencrypted` and `Auth\\Basic` are read.",
        only="winrm",
    ),
    Claim(
        "FC-10",
        "The link",
        "The certificate that the worker sees is the one of the computer's https listener.",
        "The SHA-256 of the listener's certificate is computed on the computer and compared.",
        only="winrm",
    ),
    Claim(
        "FC-11",
        "The link",
        "Quotas are as expected: envelopes of 500 KB, operations of 60 s, 1 GiB for a shell.",
        "`MaxEnvelopeSizekb`, `MaxTimeoutms` and the quotas of shells are read.",
        only="winrm",
    ),
    Claim(
        "FC-12",
        "The link",
        "Kerberos works: login, sealing, a ticket instead of a password.",
        "Passed when the inventory says `auth: kerberos` and the link is open.",
        only="winrm",
    ),
    # Starting the helper
    Claim(
        "FC-20",
        "Starting the helper",
        "`powershell.exe` is Windows PowerShell 5.1, 64 bit, in FullLanguage mode.",
        "It is asked.",
    ),
    Claim(
        "FC-21",
        "Starting the helper",
        "The helper starts: its C# compiles (C# 5, .NET Framework) under the virus scanner of this computer.",
        "It is started; the time and the scanner's name are told.",
    ),
    Claim(
        "FC-22",
        "Starting the helper",
        "Compiling leaves nothing in the folder for temporary files.",
        "The entries there are counted before the helper starts and after it has ended.",
    ),
    Claim(
        "FC-23",
        "Starting the helper",
        "AES, SHA-256 and HMAC of the spool exist also under the FIPS policy.",
        "They are used once; the state of the policy is told.",
    ),
    Claim(
        "FC-24",
        "Starting the helper",
        "What is sent through standard input does not reach the event logs.",
        "A random word is sent; the logs of PowerShell and of new processes are searched for it.",
    ),
    Claim(
        "FC-25",
        "Starting the helper",
        "In Constrained Language Mode, firstbell says so and names the cure.",
        "By a person.",
        person="Put a test computer under the App Control or AppLocker policy of your school, run `firstbell doctor` "
        "on it, and note what it says.",
    ),
    # Rights
    Claim(
        "FC-30",
        "Rights",
        "The account has an administrator's full token over the network.",
        "The token is asked; whether the account is local, and LocalAccountTokenFilterPolicy, are told.",
    ),
    Claim(
        "FC-31",
        "Rights",
        "The account's token holds SeBackupPrivilege and SeRestorePrivilege, also over the network.",
        "The helper tells what its token holds.",
    ),
    Claim(
        "FC-32",
        "Rights",
        "With SeBackupPrivilege, the helper reads a file that its access list closes to administrators.",
        "Such a file is made (only SYSTEM may read it) and read.",
    ),
    Claim(
        "FC-33",
        "Rights",
        "With SeRestorePrivilege, the helper writes into a folder that is closed to administrators.",
        "Such a folder is made, and a file written into it.",
    ),
    # Files
    Claim(
        "FC-40",
        "Files",
        "Sizes, attributes and times (100 ns; written, created) come from the folder itself, without opening files.",
        "Files with known values are made, listed, and compared.",
    ),
    Claim("FC-41", "Files", "Paths of more than 300 characters are listed, read and written.", "One is made."),
    Claim(
        "FC-42",
        "Files",
        "Names that only `\\\\?\\` can hold work: a dot or blank at the end, CON, also emoji and other letters.",
        "Such files are written, listed and read; Windows' own listing is compared.",
    ),
    Claim("FC-43", "Files", "A name with a lone surrogate comes back as it was.", "Such a file is written and listed."),
    Claim(
        "FC-44",
        "Files",
        "Alternate streams are found and come back; a file from the internet stays marked (Zone.Identifier).",
        "A file with such a stream is made, listed, written elsewhere, and looked at.",
    ),
    Claim(
        "FC-45",
        "Files",
        "A junction is told as a link and never followed, also by a helper with SeBackupPrivilege.",
        "A folder with a junction to itself is walked.",
    ),
    Claim(
        "FC-46",
        "Files",
        "The old junctions of a profile (Application Data, ...) are told as links and never followed.",
        "The profile of the account itself is walked to a small depth.",
    ),
    Claim(
        "FC-47",
        "Files",
        "A file that a program holds without sharing is told as not readable, without waiting.",
        "A program holds one; it is read without a shadow copy.",
    ),
    Claim("FC-48", "Files", "A file that a program has open for writing, shared, is read.", "A program holds one."),
    Claim("FC-49", "Files", "A compressed file is read as what it holds.", "`compact /c`, then it is read."),
    Claim(
        "FC-50",
        "Files",
        "A file encrypted by Windows (EFS) is told as not saved, and never stored as if it were.",
        "`cipher /e`, then it is listed; not applicable where the account cannot encrypt.",
    ),
    Claim(
        "FC-51",
        "Files",
        "Attributes (read-only, hidden, system, archive, not indexed) and both times are set, to 100 ns.",
        "Files are listed, written elsewhere, and compared by the computer itself.",
    ),
    Claim(
        "FC-52",
        "Files",
        "An access list of a file's own is found and comes back.",
        "A file with an entry of its own is made, listed, written elsewhere, and its list compared.",
    ),
    # Shadow copies
    Claim(
        "FC-60",
        "Shadow copies",
        "An administrator may make a shadow copy over WMI, also on client editions, and remove it.",
        "One is made and removed; what it answered, and the count before and after, are told.",
    ),
    Claim(
        "FC-61",
        "Shadow copies",
        "Through a shadow copy the helper reads a file that a program holds without sharing.",
        "A program holds one; it is read with a shadow copy.",
    ),
    Claim("FC-62", "Shadow copies", "After a snapshot there are as many shadow copies as before.", "They are counted."),
    Claim(
        "FC-63",
        "Shadow copies",
        "After a cut link, the helper ends, and the next one removes the shadow copy that was left.",
        "A run with a shadow copy is killed; within four minutes its program is gone, and after the next run the count "
        "is as before.",
        slow=True,
    ),
    Claim(
        "FC-64",
        "Shadow copies",
        "The virus scanner or EDR of the school does not raise an alarm, and lets the shadow copy be.",
        "By a person.",
        person="After FC-60 to FC-63, look into the console of your scanner for alarms about this computer.",
    ),
    # OneDrive
    Claim(
        "FC-70",
        "OneDrive",
        "A file that is only in the cloud shows 0x400000 to a program that is not in the user's session.",
        "The folders of OneDrive that the helper knows are walked; cloud-only files are counted, and Windows' own view "
        "is compared.",
    ),
    Claim(
        "FC-71",
        "OneDrive",
        "A walk over them brings none down.",
        "The cloud-only files are counted before and after the walk.",
    ),
    Claim(
        "FC-72",
        "OneDrive",
        "After a restore, what OneDrive has already brought back is not there twice.",
        "By a person.",
        person="On a test account: restore a Desktop that OneDrive has brought back already. There must be no file "
        "with the computer's name at the end of its name.",
    ),
    # People and restore
    Claim(
        "FC-80",
        "People and restore",
        "The people of the computer and their profile folders are found (ProfileList).",
        "The helper tells them; each folder must be there. Only the numbers are noted.",
    ),
    Claim(
        "FC-81",
        "People and restore",
        "Known folders are found also when they are moved to OneDrive or have local names, and for people who are "
        "signed out.",
        "For each person the number of known folders is noted.",
    ),
    Claim(
        "FC-82",
        "People and restore",
        "A profile can be made before the first sign-in (CreateProfile).",
        "Only with `--account NAME` of a test account that has no profile yet.",
        person="Run it again with `ACCOUNT=` a test account that has never signed in on this computer.",
    ),
    Claim(
        "FC-83",
        "People and restore",
        "After that, the first sign-in takes this profile, and no temporary one.",
        "By a person.",
        person="Sign in with the account of FC-82: what was restored is there, and Windows does not speak of a "
        "temporary profile.",
    ),
    Claim(
        "FC-84",
        "People and restore",
        "What is restored into a profile belongs to its owner, not to the administrators.",
        "A file is written into the account's own profile; its owner is looked at.",
    ),
    Claim(
        "FC-85",
        "People and restore",
        "A person of the domain has the same number (SID) after a reimage; a local one has another, and is found by "
        "name.",
        "By a person.",
        person="Save a test computer, reimage it, restore, and look at the owner of the restored files.",
    ),
    # The spool
    Claim(
        "FC-90",
        "The spool",
        "The computer reaches the S3 store through the proxy as configured; PUT and GET of presigned addresses work.",
        "About 100 KB go each way; nothing may be left in the store.",
        only="winrm",
    ),
    Claim(
        "FC-91",
        "The spool",
        "Large content goes through the store, and how fast.",
        "A file of 64 MiB is read; the rate is told.",
        only="winrm",
    ),
    Claim(
        "FC-92",
        "The spool",
        "Without a store, everything still works inside WinRM, and how fast.",
        "A file of 4 MiB is read; the rate is told.",
        only="winrm",
    ),
    # OpenSSH
    Claim(
        "FC-95",
        "OpenSSH",
        "With cmd.exe as the default shell of OpenSSH, bytes pass unchanged and the helper works.",
        "The default shell is read, and the helper started.",
        only="ssh",
    ),
    Claim(
        "FC-96",
        "OpenSSH",
        "`administrators_authorized_keys` belongs to SYSTEM and Administrators alone, else OpenSSH ignores it.",
        "Its access list is read.",
        only="ssh",
    ),
    # All together
    Claim(
        "FC-99",
        "All together",
        "A snapshot and a restore bring a folder back: every byte, attribute and time.",
        "A folder of odd files is saved into a repository on the worker, deleted, restored, and compared by the "
        "computer itself.",
    ),
)

BY_NUMBER = {claim.number: claim for claim in CLAIMS}
