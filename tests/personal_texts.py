"""Sentences made from templates, with and without personal data of a known kind.

Names in braces in a template are values that `Maker` draws. Double brackets mark the personal data.
"""

import random
import re
import string
from collections.abc import Iterator

Made = tuple[str, str | None]
"""A text, and the part of it that is personal data, or None."""

WORDS = {
    "first": "anna ben chloe dmitri elif farid grace hiro ines jonas kofi lena marco nadia omar priya",
    "last": "meyer okafor smith rossi nguyen silva kowalski dubois o-neill tanaka haddad lindgren",
    "domain": "gmail.com web.de yahoo.co.uk uni-bonn.de mail.ru orange.fr acme-tools.io 163.com bbc.co.uk cs.cmu.edu naver.com gov.pl law.berlin studio.photography",
    "forge": "github.com gitlab.com bitbucket.org git.kernel.org code.acme-tools.io ssh.dev.azure.com codeberg.org salsa.debian.org",
    "host": "build7.acme-tools.io db.uni-bonn.de ec2-3-8-1-9.eu-west-1.compute.amazonaws.com files.example-corp.net gate.cern.ch",
    "image": "png jpg jpeg webp svg gif avif bmp psd tiff heic ico pdf",
    "package": "lodash left-pad react-dom serde requests numpy express babel-core",
    "unit": "service socket timer mount slice target path scope device swap",
    "month_name": "January February March April May June July August September October November December",
    "secret": "pw s3cr3t p%40ss hunter2! x$1 abc:def",
    "secret0": "pw tiger",
    "product": "Flash Player,Chrome,Electron,QuickTime,Adobe Reader,Windows,.NET Framework,Foobar,Winamp,Acme Studio",
}

EMAILS = [
    "Write to [[{address}]] for the full text.", "Contact: <[[{address}]]>", "({first} {last}, [[{address}]])",
    "mailto:[[{address}]]", "[mail me](mailto:[[{address}]])", '<a href="mailto:[[{address}]]">{first}</a>',
    "Signed-off-by: {first} {last} <[[{address}]]>", "Author: {first} <[[{address}]]>  # since {year}",
    "maintainer = '{first} {last} <[[{address}]]>'", '"email": "[[{address}]]",', "E-mail:[[{address}]]",
    "[[{address}]] wrote:", "From: [[{address}]]\nTo: the list", "ask [[{address}]]: he knows how ssh works",
    "send the patch to [[{address}]], or open an issue", "CC: [[{address}]]; thanks!", "user=[[{address}]]&lang=en",
    "git config user.email [[{address}]]", 'git config --global user.email "[[{address}]]"', "| {first} | [[{address}]] |",
    "- [[{address}]]", "[[{address}]] # since {year}", "https://acme-tools.io/unsubscribe?who=[[{address}]]", "Reply-To: [[{address}]].",
    "[[{address}]]/{first}", "log in as [[{address}]] with your password", "- name: {first}\n  mail: [[{address}]]",
    "We met over ssh. Mail [[{address}]]", "Please email [[{upper_address}]] today",
    "reach me at [[{address}]] (no attachments, please)", "the git maintainer is [[git{digit}@{domain}]]",
]  # fmt: skip
NO_EMAILS = [
    "git clone git@{forge}:{first}/{package}.git", "git remote add origin git@{forge}:{last}/{package}",
    "url = ssh://git@{forge}/{first}/{package}.git", "ssh -T git@{forge}", "hg clone ssh://hg@{forge}/{package}",
    "svn co svn+ssh://{first}@{forge}/trunk", "git submodule add -b main git@{forge}:{package}.git libs/{package}",
    '"repository": "git+ssh://git@{forge}:2222/{first}/{package}"', "rsync -avz ./{package}/ {first}@{host}:/srv/{package}",
    "scp {package}.tgz {first}@{host}:~/", "scp -P 22{digit}2 {first}@{host}:/var/log/syslog .", "ssh {first}@{host}",
    "ssh -i ~/.ssh/key.pem -p 22{digit} {first}@{host}", "$ ssh-copy-id {first}@{host}", "sftp {first}@{host}",
    "{first}@{host}:~$ ls -l", "[{first}@{host} ~]$ make", "root@{host}:/etc# vi hosts",
    "rsync --delete {first}@{host}:backup/{package} .", "psql postgresql://{first}:{secret}@{host}:5432/{package}",
    "mongodb+srv://{first}:{secret}@{host}/db?w=1", "redis://:{secret}@{host}:6379/0",
    "amqp://{first}:{secret}@{host}/%2f", "https://{first}:{secret}@{forge}/{package}.git",
    "curl ftp://{first}:{secret}@{host}/pub/", "jdbc:oracle:thin:{first}/{secret0}@{host}:1521/orcl",
    "smb://{first}@{host}/share", "DATABASE_URL=mysql://{first}:{secret}@{host}/app",
    "save it as icon@{digit}x.{image}", "logo@{digit}.5x.{image}", "![](img/{package}@2x.{image})",
    "npm pack {package}@{version}.tgz", "npm i {package}@^{version}", "yarn add @{first}/{package}@{version}",
    "pnpm add {package}@{version}-beta.{digit}", "tar xf {package}@{version}.tar.gz", "@{first}/{package}",
    "npx create-{package}@latest", "@app.route('/{package}')", "@pytest.fixture", "x = a@b.T + c@self.weight",
    "systemctl start {package}@{first}.{unit}", "getty@tty{digit}.service", "wg-quick@wg{digit}.{unit}",
    "{first}@localhost", "root@server{digit}", "{first}@nas.local", "follow @{first}@mastodon.social",
    "join !{package}@lemmy.world", "FROM {package}@sha256:9f86d081884c7d65", "go get {host}/{package}@v{version}",
    "com.acme:{package}:{version}@aar", "uses: actions/checkout@v{digit}", "brew install {package}@{digit}.{digit}",
    "cvs -d :pserver:anonymous@{host}:/cvsroot login", "user@example.com", "{first}@mail.example.org",
    "{package}@{version}.zip", "sprite@3x.{image} and tile@2x.{image}", "{first}@{host}:{package}/src/main.c",
]  # fmt: skip
ADDRESSES = [
    "Accepted password for {first} from [[{ip}]] port {port}", '[[{ip}]] - - [{day}/Oct/{year}:13:55:36 +0000] "GET / HTTP/1.1" 200',
    "Failed login from [[{ip}]]", "Connecting to [[{ip}]]:{port}", "inet [[{ip}]]/24 brd", "nameserver [[{ip}]]",
    "http://[[{ip}]]/index.html", "http://[[{ip}]]:{port}/", "ping [[{ip}]]", "PING {host} ([[{ip}]]) 56(84) bytes of data",
    "64 bytes from [[{ip}]]: icmp_seq=1 ttl=54", "Reply from [[{ip}]]: bytes=32", "Server: [[{ip}]]#53",
    "src=[[{ip}]] proto=6", "SRC=[[{ip}]] DPT={port}", "client [[{ip}]], server: localhost", "ban [[{ip}]]",
    "[client [[{ip}]]] File does not exist", "Received: from {host} ({host} [[[{ip}]]])", "IP: [[{ip}]]",
    "my address is [[{ip}]].", "the host [[{ip}]] is down", "| {first} | [[{ip}]] |", "{host} has address [[{ip}]]",
    "iptables -A INPUT -s [[{ip}]] -j DROP", "A record {host} -> [[{ip}]]", "X-Forwarded-For: [[{ip}]], 10.0.0.1",
    '"remote_addr": "[[{ip}]]"', "listen = [[{ip}]]", "{first}@[[{ip}]]", "traceroute to [[{ip}]], 30 hops max",
    "blocked [[{ip}]] after 5 attempts", "Host [[{ip}]] not found", "gateway [[{ip}]]", "at [[{ip}]] since Monday",
    "::ffff:[[{ip}]]", "sshd: Invalid user {first} from [[{ip}]]", "DNS server [[{ip}]]", "to [[{ip}]] and back",
    "Disconnected from [[{ip}]] port {port} [preauth]", "proxy_pass http://[[{ip}]];", "address [[{ip6}]] up",
    "from [[{ip6}]] port {port}", "AAAA [[{ip6}]]", "http://[[[{ip6}]]]:{port}/", "inet6 [[{ip6}]]/64 scope global",
]  # fmt: skip
NO_ADDRESSES = [
    "version {four}", "Version: {four}", "{product} version {four} was released", "upgrade from release {four} to release {four}",
    "release {four}", "v{four}", "see Section {section} of the rules", "\u00a7 {section}", "Sec. {section}", "clause {section}",
    "kernel {four}", "Linux {four}", "linux-{four}", "build {four}", "{product} {four}", "{product} ({four})",
    "{product}/{four}", '"version": "{four}"', "FileVersion {four}", 'AssemblyVersion("{four}")', "<version>{four}</version>",
    "app_version={four}", "{package}=={four}", "{package} >= {four}", "~> {four}", "{four} or later", "{four} and earlier",
    "fixed in {four}", "versions before {four}", "versions {four}, {four} and {four}", "{four}-rc1", "kernel {four}-generic",
    "## {section} Scope", "{package}-{four}.tar.gz", "{package}_{four}_amd64.deb", "upgraded to {four}", "since version {four}",
    "OID 2.5.29.{octet}", "subjectAltName is 2.5.29.{octet}", "2.5.4.{octet}", "firmware {four}", "rev. {four}",
    "chapter {section}", "table {section}", "appendix {section}", "the {four} release", "update to {four}.",
    "Release notes for {product} {four}", "10.0.0.{octet}", "127.0.0.1", "192.168.{octet}.{octet}", "255.255.255.0",
    "at {hour}:{minute}:{minute}", "{year}-{month2}-{day2}T{hour}:{minute}:{minute}", "MAC {mac}", "link/ether {mac} brd ff:ff:ff:ff:ff:ff",
    "std::{first}::{last}", "{first}::{package}", "2015::{month2}", "SHA256 Fingerprint={mac}:{mac}", "ab::cd, dead::beef",
    "fe80::1%eth0", "ratio 16:9:{digit}", "fd{octet2}:{octet2}::1", "{hour}:{minute}::{minute}",
]  # fmt: skip
PHONES = [
    "call [[{phone}]] now", "Phone: [[{phone}]]", "Tel. [[{phone}]]", "Tel.:[[{phone}]]", "tel:[[{bare_plus}]]",
    "{first} {last}, [[{phone}]], {domain}", "Fax [[{phone}]]", "([[{phone}]])", "my number is [[{phone}]].",
    "[[{phone}]] (home)", "| {first} | [[{phone}]] |", "ring [[{phone}]] before {hour}:{minute}", "[[{phone}]]",
    "WhatsApp [[{phone}]]", "on {year}-{month2}-{day2} {first} called from [[{phone}]]", "Mobile [[{phone}]]",
    "call [[{phone}]] or write", "contact us: [[{phone}]]", "for $5, dial [[{phone}]]", "[[{phone} ext. {octet}]]",
    "phone = '[[{phone}]]'", '"phone": "[[{phone}]]"', "- [[{phone}]]\n- {first}", "Hotline: [[{phone}]], Mon-Fri 9:00-17:00",
    "from abroad [[{plus}]]", "registrant phone: [[{whois}]]", "{first} ([[{plus}]])", "call [[{plus}]] or [[{plus}]]",
]  # fmt: skip
NO_PHONES = [
    "CA {month2}/{year} \u2013 {month2}/{year}", "{year}-{month2}-{day2}", "{day2}.{month2}.{year}", "{month2}/{day2}/{year}",
    "{day2}.{month2}.{year} - {day2}.{month2}.{year}", "{day2}/{month2}/{year}\u2013{day2}/{month2}/{year}", "{year}\u2013{year}",
    "{year}-{year}", "{year}/{year}", "in {year}, {year} and {year}", "{year} {year} {year} {year}", "{year}{month2}{day2}",
    "{year}-{month2}-{day2} {hour}:{minute}:{minute}", "{year}{month2}{day2}{hour}{minute}{minute}", "{day}. {month}. {year}",
    "{month_name} {day}, {year}", "{day} {month_name} {year} \u2013 {day} {month_name} {year}", "from {month2}/{year} to {month2}/{year}",
    "{day2}-{month2}-{year} to {day2}-{month2}-{year}", "ISBN {isbn10}", "ISBN-13: {isbn13}", "ISBN {isbn13_bare}", "{isbn10}",
    "order no. {digits10}", "Order #{digits10}", "order number: 415-{digits3}-{digits4}", "invoice no {digits8}", "tracking number {digits12}",
    "account number {digits10}", "ticket #{digits8}", "case no. {digits10}", "customer ID {digits10}", "part no. {digits3}-{digits3}-{digits4}",
    "{lat}, {lon}", "lat={lat} lon={lon}", "({lat} {lon})", "+{lat} {lon}", "{deg}\u00b0 {minute}' {minute}.{digits3}\" N", "GPS: {lat},{lon}",
    "N {deg} {minute}.{digits3} W {deg} {minute}.{digits3}", "$4,{digits3},{digits3}", "${digits10}.00", "EUR 1.{digits3}.{digits3},00",
    "{digits10} USD", "1,{digits3},{digits3},{digits3}", "sha1 {hex40}", "md5: {hex32}", "{uuid}", "commit {hex7}{digits3}",
    "checksum {digits10}", "crc32 = {digits10}", "epoch {digits10}", "timestamp: {digits10}", "x = {digits10}", "return {digits10};",
    "2147483647", "4294967295", "6227020800 ways", "n={digits10}", "{version}-{version}", "{four} - {four}", "10.0.{digits5}-10.0.{digits5}",
    "RFC {digits4}", "RFCs {digits4}-{digits4}", "pp. {digits4}-{digits4}", "pages {digits3}-{digits3}", "ports {digits4}-{digits5}",
    "https://acme-tools.io/item/{digits10}", "https://{host}/{year}/{month2}/{day2}/{digits10}.html", "#{digits10}", "id: {digits10}",
    "0x{hex7}", "{digits3} {digits3} {digits4} {digits3} {digits4} {digits4}", "3.{digits10}", "-0.{digits10}", "1 + 2147483647", "{hour}:{minute}-{hour}:{minute}",
    "08.00-18.00", "{digits10} bytes", "IBAN DE89 3704 0044 0532 0130 00", "version {version}", "{day2}.{month2}. \u2013 {day2}.{month2}.{year}",
]  # fmt: skip
CARDS = [
    "card [[{card}]] exp {month2}/{day2}", "pay with [[{card}]].", "Visa [[{card}]]", "[[{card}]]", "number: [[{card}]], CVV {digits3}",
    '"pan": "[[{card}]]"', "({first}: [[{card}]])", "charged to [[{card}]] on {year}-{month2}-{day2}", "| {first} | [[{card}]] |",
    "card number is [[{card}]]", "cc=[[{card}]]", "my MasterCard, [[{card}]]",
]  # fmt: skip
NO_CARDS = [
    "{digits16}0000", "order number {luhn}", "tracking no. {luhn}", "IMEI {imei}", "imei={imei}", "{isbn13_bare}", "EAN {ean}", "{ean}",
    "{year}{month2}{day2}{hour}{minute}{minute}", "invoice no. {luhn}", "serial {luhn}", "snowflake {digits18}", "0.{luhn}", "{hex32}",
    "{not_luhn}", "card {not_luhn}", "{uuid}", "{year}-{month2}-{day2} {hour}{minute}{minute}{minute}", "account number {luhn}", "0000 0000 0000 0000",
    "{digits4} {digits4} {digits4}", "transaction id {luhn}", "SELECT {digits10}{digits3}", "3.{luhn}", "{millis}",
]  # fmt: skip

KINDS = {
    "email": (EMAILS, NO_EMAILS),
    "ip": (ADDRESSES, NO_ADDRESSES),
    "phone": (PHONES, NO_PHONES),
    "card": (CARDS, NO_CARDS),
}
FORMATS = {  # of national numbers; # stands for any digit
    "US": ("415-86#-53##", "(415) 86#-53##", "415.86#.53##", "415 86# 53##", "1-415-86#-53##", "+1 415 86# 53##", "+14158675###"),
    "GB": ("0117 496 0###", "(0117) 496 0###", "020 7946 0###", "0207 946 0###", "07911 123###", "07911123###", "+44 117 496 0###", "+44 (0)117 496 0###"),
    "DE": ("030 12345###", "030/12345###", "(030) 12345###", "030-12345###", "0171 1234###", "0171/1234###", "01711234###", "+49 30 12345###", "+49 (0)171 1234###"),
    "FR": ("01 42 68 53 ##", "01.42.68.53.##", "01-42-68-53-##", "0142685###", "06 12 34 5# ##", "+33 1 42 68 53 ##"),
}  # fmt: skip
PLUS = ("+44 117 496 0###", "+1 415-86#-53##", "+49 30 12345###", "+33 1 42 68 53 ##", "+91 98765 43###", "+81 3-1234-5###", "+39 06 1234 5###", "+61 2 9876 5###")  # fmt: skip
ISSUERS = ("4", "51", "55", "2221", "34", "37", "6011", "65", "36", "3530")


class Maker:
    """Fills templates with random values, by a seed; `region` is the country of phone numbers, None for international ones."""

    def __init__(self, seed: int, region: str | None = "US") -> None:
        self.random = random.Random(seed)
        self.region = region

    def made(self, kind: str, personal: bool, n: int) -> Iterator[Made]:
        """Yield `n` texts of a kind from all templates in turn, with or without personal data."""
        templates = KINDS[kind][not personal]
        for number in range(n):
            text = self.filled(templates[number % len(templates)])
            if not personal:
                yield text, None
                continue
            data = re.search(r"\[\[([^\[\]]+)\]\]", text)
            assert data, text
            yield re.sub(r"\[\[([^\[\]]+)\]\]", r"\1", text), data[1]

    def filled(self, template: str) -> str:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
        text = template
        for name in names:
            text = text.replace(f"{{{name}}}", self.value(name), 1)
        return text.replace("{{", "{").replace("}}", "}")

    def value(self, name: str) -> str:
        choice = self.random.choice
        if name in WORDS:
            return choice(WORDS[name].split("," if "," in WORDS[name] else " "))
        if name.startswith("digits"):
            return choice("23456789") + self.digits(int(name[6:]) - 1)
        if name.startswith("hex"):
            return "".join(choice("0123456789abcdef") for _ in range(int(name[3:])))
        return str(getattr(self, name)())

    def digits(self, n: int) -> str:
        return "".join(self.random.choice("0123456789") for _ in range(n))

    def between(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def address(self) -> str:
        first, last = self.value("first"), self.value("last")
        local = self.random.choice(
            [
                first,
                f"{first}.{last}",
                f"{first}_{last}",
                f"{first[0]}{last}",
                f"{first}{self.digits(2)}",
                f"{first}+lists",
            ]
        )
        return f"{local}@{self.value('domain')}"

    def upper_address(self) -> str:
        return self.address().upper()

    def ip(self) -> str:
        first = self.random.choice([n for n in range(2, 223) if n not in (10, 100, 127, 169, 172, 192, 198, 203)])
        return f"{first}.{self.between(0, 255)}.{self.between(0, 255)}.{self.between(33, 254)}"

    def ip6(self) -> str:
        head = self.random.choice(["2a02", "2600", "2001:4860", "2404:6800", "2003:e0"])
        return f"{head}:{self.between(1, 9999)}:{self.between(16, 255):x}::{self.between(1, 65535):x}"

    def four(self) -> str:
        major = self.random.choice([2, 3, 4, 5, 6, 7, 9, 11, 12, 15, 18, 23])
        return f"{major}.{self.between(0, 20)}.{self.between(0, 255)}.{self.between(33, 255)}"

    def section(self) -> str:
        return f"{self.between(1, 12)}.{self.between(1, 9)}.{self.between(1, 9)}.{self.between(32, 60)}"

    def version(self) -> str:
        return f"{self.between(0, 30)}.{self.between(0, 30)}.{self.between(0, 30)}"

    def mac(self) -> str:
        return ":".join(f"{self.between(0, 255):02x}" for _ in range(6))

    def uuid(self) -> str:
        return "-".join(self.value(f"hex{n}") for n in (8, 4, 4, 4, 12))

    def year(self) -> int:
        return self.between(1950, 2030)

    def month2(self) -> str:
        return f"{self.between(1, 12):02}"

    def month(self) -> int:
        return self.between(1, 12)

    def day2(self) -> str:
        return f"{self.between(1, 28):02}"

    def day(self) -> int:
        return self.between(1, 28)

    def hour(self) -> str:
        return f"{self.between(0, 23):02}"

    def minute(self) -> str:
        return f"{self.between(0, 59):02}"

    def digit(self) -> int:
        return self.between(1, 4)

    def octet(self) -> int:
        return self.between(1, 254)

    def octet2(self) -> str:
        return f"{self.between(16, 255):02x}"

    def deg(self) -> int:
        return self.between(10, 89)

    def port(self) -> int:
        return self.between(1024, 65535)

    def lat(self) -> str:
        return f"{self.between(1, 89)}.{self.digits(self.between(4, 8))}"

    def lon(self) -> str:
        return f"{self.random.choice(['', '-'])}{self.between(1, 179)}.{self.digits(self.between(4, 8))}"

    def phone(self) -> str:
        return self.shaped(self.random.choice(FORMATS[self.region] if self.region else PLUS))

    def plus(self) -> str:
        return self.shaped(self.random.choice(PLUS))

    def bare_plus(self) -> str:
        return self.plus().replace(" ", "").replace("-", "")

    def whois(self) -> str:
        return self.shaped(self.random.choice(["+1.41586753##", "+49.3012345###", "+44.1174960###"]))

    def shaped(self, form: str) -> str:
        return "".join(self.digits(1) if sign == "#" else sign for sign in form)

    def isbn10(self) -> str:
        return f"{self.between(0, 3)}-{self.digits(3)}-{self.digits(5)}-{self.digits(1)}"

    def isbn13(self) -> str:
        return f"978-{self.isbn10()}"

    def isbn13_bare(self) -> str:
        return f"978{self.digits(10)}"

    def ean(self) -> str:
        return f"40{self.digits(11)}"

    def millis(self) -> str:
        return f"16{self.digits(11)}"

    def imei(self) -> str:
        return checked(f"35{self.digits(12)}")

    def luhn(self) -> str:
        return checked(f"4{self.digits(14)}")

    def not_luhn(self) -> str:
        number = self.luhn()
        return number[:-1] + str((int(number[-1]) + 5) % 10)

    def card(self) -> str:
        head = self.random.choice(ISSUERS)
        length = {"34": 14, "37": 14, "36": 13}.get(head, 15)
        number = checked(head + self.digits(length - len(head)))
        sign = self.random.choice(["", " ", "-"])
        cuts = (4, 10) if len(number) in (14, 15) else (4, 8, 12)
        return sign.join(number[a:b] for a, b in zip((0, *cuts), (*cuts, len(number)), strict=True))


def checked(number: str) -> str:
    """Append the check digit (ISO/IEC 7812) to a number."""
    total = sum(sum(divmod(int(c) * (2 - n % 2), 10)) for n, c in enumerate(reversed(number)))
    return number + str(-total % 10)
