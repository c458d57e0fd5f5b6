"""Commands of gdb for the demo kernel; `make gdb` loads them.

    areas                  the areas of the process that the kernel works for, as in /proc/PID/maps
    walk ADDRESS [ROOT]    the entries of the page tables from level 4 down to the page
    cells [ADDRESS]        the cells of a heap, from the headers: the process's, `kernel` for the
                           kernel's own, or the one whose first region begins at ADDRESS
    program-symbols        loads the program's symbols where the process has its text
    console                what the kernel has written to its serial port since the last time

All memory is read by physical address, so the commands work whichever page tables are in use.
"""

import os
import re

import gdb

PAGE = 4096
WORD = 8
ENTRIES = 512
ADDRESS_BITS = 0x000F_FFFF_FFFF_F000
PRESENT, WRITE, USER, LARGE, NO_EXECUTE = 1, 1 << 1, 1 << 2, 1 << 7, 1 << 63
KERNEL_HEAP = 0xFFFF_9000_0000_0000

# Bits of a cell's header; the others are its size (src/cell/header.rs).
USED, PREVIOUS_USED, FENCEPOST = 1, 2, 4
SIZE_BITS = ~15

# Bits of an area's permissions (memory/permissions.rs).
READ, WRITABLE, EXECUTE = 1, 2, 4


# --- values of Rust ----------------------------------------------------------------------------


def fields(value):
    """The fields of a struct or tuple, by name."""
    if value.type.strip_typedefs().code != gdb.TYPE_CODE_STRUCT:
        return {}
    return {field.name: value[field.name] for field in value.type.fields() if field.name}


def find(value, wanted, depth=6):
    """The nearest value inside `value` for which wanted(name, value) holds, breadth first."""
    level = list(fields(value).items())
    for _ in range(depth):
        for name, inner in level:
            if wanted(name, inner):
                return inner
        level = [pair for _, inner in level for pair in fields(inner).items()]
    return None


def number(value):
    """The integer inside of types that wrap one."""
    while value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        value = next(iter(fields(value).values()))
    return int(value)


def elements(vec):
    """The elements of a `Vec`."""
    pointer = find(vec, lambda _, inner: inner.type.strip_typedefs().code == gdb.TYPE_CODE_PTR)
    first = pointer.cast(vec.type.template_argument(0).pointer())
    return [(first + index).dereference() for index in range(int(vec["len"]))]


def process():
    """The process that a function on the stack works for."""
    frame = gdb.newest_frame()
    while frame is not None and frame.is_valid():
        try:
            value = frame.read_var("process")
            while value.type.strip_typedefs().code in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_REF):
                value = value.referenced_value()
            if "space" in fields(value):
                return value
        except (ValueError, gdb.error):
            pass
        frame = frame.older()
    raise gdb.GdbError("no function on the stack works for a process; stop in `serve` or `brk`")


def areas():
    """The areas of that process: start, end, permissions, kind, name."""
    is_list = lambda _, value: value.type.name is not None and value.type.name.startswith(
        "alloc::vec::Vec<kernel_demo::address_space::")
    found = []
    for area in elements(find(process()["space"], is_list)):
        bits = number(area["permissions"])
        kind = str(area["kind"]).rsplit("::", 1)[-1].split("(")[0].strip()
        start, end = int(area["start"]), int(area["end"])
        # The table has room for more areas than there are.
        if start < end:
            found.append((start, end, bits, kind, text(area["name"])))
    return found


def text(value):
    """The text of a `&str`."""
    length = int(value["length"])
    pointer = int(value["data_ptr"])
    return bytes(gdb.selected_inferior().read_memory(pointer, length)).decode() if length else ""


# --- memory ------------------------------------------------------------------------------------


def read_physical(address, length):
    """Bytes of physical memory, through QEMU's stub for gdb."""
    gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
    try:
        return bytes(gdb.selected_inferior().read_memory(address, length))
    finally:
        gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)


def physical_word(address):
    return int.from_bytes(read_physical(address, WORD), "little")


def current_root():
    """The level-4 table in use: CR3."""
    return int(gdb.selected_frame().read_register("cr3")) & ADDRESS_BITS


def process_root():
    """The level-4 table of the process, or the one in use."""
    try:
        root = find(process()["pages"], lambda name, _: name == "root")
        return number(root)
    except gdb.GdbError:
        return current_root()


def entries(address, root):
    """The entries on the way to a page: level, index, entry."""
    table = root
    for level in (4, 3, 2, 1):
        index = address >> (12 + 9 * (level - 1)) & (ENTRIES - 1)
        entry = physical_word(table + index * WORD)
        yield level, index, entry
        if not entry & PRESENT or (level in (2, 3) and entry & LARGE):
            return
        table = entry & ADDRESS_BITS


def translate(address, root):
    """The physical address behind an address, or None."""
    for level, _, entry in entries(address, root):
        last = level, entry
    level, entry = last
    if not entry & PRESENT:
        return None
    span = 1 << (12 + 9 * (level - 1))
    return (entry & ADDRESS_BITS & ~(span - 1)) + address % span


def word(address, root):
    """A word behind an address, or None."""
    physical = translate(address, root)
    return None if physical is None else physical_word(physical)


# --- commands ----------------------------------------------------------------------------------


class Areas(gdb.Command):
    """areas: the areas of the process that the kernel works for."""

    def __init__(self):
        super().__init__("areas", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for start, end, bits, kind, name in areas():
            letters = "".join(
                letter if bits & bit else "-"
                for letter, bit in (("r", READ), ("w", WRITABLE), ("x", EXECUTE)))
            print(f"{start:012x}-{end:012x} {letters} {kind:8} {name}".rstrip())


class Walk(gdb.Command):
    """walk ADDRESS [ROOT]: the page-table entries on the way to an address."""

    def __init__(self):
        super().__init__("walk", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if not words:
            raise gdb.GdbError("walk ADDRESS [ROOT]")
        address = int(gdb.parse_and_eval(words[0])) & (1 << 64) - 1
        root = int(gdb.parse_and_eval(words[1])) if len(words) > 1 else root_for(address)
        print(f"{address:#018x} from the table at {root:#x}")
        for level, index, entry in entries(address, root):
            print(f"  level {level}  entry {index:3}  {entry:#018x}  {described(level, entry)}")
        physical = translate(address, root)
        print("  nothing is mapped there" if physical is None else f"  physical {physical:#x}")


def root_for(address):
    """The tables that an address belongs to: the process has the lower half."""
    return current_root() if address >> 63 else process_root()


def described(level, entry):
    """What an entry says."""
    if not entry & PRESENT:
        return "not present"
    to = "page" if level == 1 or entry & LARGE else "table"
    letters = "r" + ("w" if entry & WRITE else "-") + ("-" if entry & NO_EXECUTE else "x")
    return f"{to} at {entry & ADDRESS_BITS:#x} {letters} {'user' if entry & USER else 'kernel'}"


class Cells(gdb.Command):
    """cells [kernel | ADDRESS]: the cells of a heap, from their headers."""

    def __init__(self):
        super().__init__("cells", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if argument == "kernel":
            start, root = KERNEL_HEAP, current_root()
        elif argument:
            start = int(gdb.parse_and_eval(argument)) & (1 << 64) - 1
            root = root_for(start)
        else:
            heaps = [start for start, _, _, kind, _ in areas() if kind == "Heap"]
            if not heaps:
                print("the process has no heap yet")
                return
            start, root = heaps[0], process_root()
        # A region begins with a word that is no cell's.
        at, previous = start + WORD, None
        while (header := word(at, root)) is not None and header:
            size = header & SIZE_BITS
            if header & FENCEPOST:
                if not size:
                    print(f"{at:#x}          fencepost: the heap ends here")
                    return
                print(f"{at:#x} {size:8} hole")
            else:
                print(f"{at:#x} {size:8} {'used' if header & USED else 'free'}")
            at += size
        print(f"{at:#x}          nothing was written there yet")


class ProgramSymbols(gdb.Command):
    """program-symbols: loads the program's symbols where the process has its text."""

    def __init__(self):
        super().__init__("program-symbols", gdb.COMMAND_FILES)

    def invoke(self, argument, from_tty):
        program = os.environ["BRKALLOC_PROGRAM"]
        base = areas()[0][0]
        gdb.execute(f"add-symbol-file {program} -o {base:#x}", to_string=True)
        print(f"symbols of {os.path.basename(program)}, loaded at {base:#x}")


class Console(gdb.Command):
    """console: what the kernel has written since the last time."""

    def __init__(self):
        super().__init__("console", gdb.COMMAND_STATUS)
        self.shown = 0

    def invoke(self, argument, from_tty):
        with open(os.environ["BRKALLOC_CONSOLE"], "rb") as log:
            log.seek(self.shown)
            text = log.read()
        self.shown += len(text)
        print(text.decode(errors="replace"), end="")


class Start(gdb.Command):
    """brkalloc-start: sets the breakpoints that `make gdb` begins with."""

    BREAKPOINTS = (("serve", "a page fault of a process"), ("brk", "the system call"))

    def __init__(self):
        super().__init__("brkalloc-start", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, argument, from_tty):
        for name, what in self.BREAKPOINTS:
            places = functions(name)
            for place in places:
                gdb.Breakpoint(place)
                print(f"breakpoint: {place}, {what}")
            if not places:
                raise gdb.GdbError(f"the kernel has no function `{name}`")
        print("stopped before the first instruction; `continue` boots, "
              "`help areas` and so on tell of the commands")


def functions(name):
    """The places of the functions of this name that work for a process."""
    pattern = re.compile(rf"(\d+):\s.*fn kernel_demo::system::[^(]*::{name}(?:<[^(]*>)?\(")
    places, file = [], None
    for line in gdb.execute(f"info functions -q ::{name}", to_string=True).splitlines():
        if line.startswith("File "):
            file = line[len("File "):-1]
        elif (match := pattern.match(line)) and "closure" not in line:
            places.append(f"{file}:{match[1]}")
    return places


gdb.execute("set confirm off")
gdb.execute("set pagination off")
gdb.execute("set language rust")
for command in (Areas, Walk, Cells, ProgramSymbols, Console, Start):
    command()
