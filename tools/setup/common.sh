# What every part of the set-up uses: messages, files that appear whole or not at all, distribution
# packages.

# One line for the reader: what is done and why.
say() {
    printf 'setup: %s\n' "$*"
}

# Ends the set-up. The first argument says what is wrong; each further one is a line of detail.
fail() {
    printf 'setup: error: %s\n' "$1" >&2
    shift
    for line in "$@"; do
        printf '  %s\n' "$line" >&2
    done
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Moves standard input to file $1 in one step, so that nobody ever sees half of it.
write_file() {
    cat >"$1.new"
    mv -f "$1.new" "$1"
}

# Two set-ups at once would install the same things twice; the second one waits, then finds all in
# place.
wait_for_other_runs() {
    have flock || return 0
    exec 9>"$setup_dir/lock"
    flock -n 9 || {
        say "another set-up is running; waiting for it"
        flock 9
    }
}

# Builds the program $1 of version $2 into target/setup. $3 says what for.
cargo_install() {
    say "building $1 $2: $3"
    CARGO_TARGET_DIR="$setup_dir/build" cargo install --quiet --locked --force \
        --version "=$2" --root "$setup_dir" "$1" 2>"$setup_dir/$1.log" ||
        fail "could not build $1 $2" "$(tail -n 15 "$setup_dir/$1.log")" \
            "by hand:  cargo install --locked --version =$2 --root target/setup $1"
    rm -rf "$setup_dir/build"
}

# --- what the last run found ----------------------------------------------------------------------

# Reads target/setup/env. The values are hints about where to look first; each part checks them
# before it uses them.
load_env() {
    ROOT=$(env_value ROOT) KIND=$(env_value KIND) SYSROOT=$(env_value SYSROOT) QEMU=$(env_value QEMU) HOST32=$(env_value HOST32)
    SANITIZERS=$(env_value SANITIZERS) OVMF=$(env_value OVMF)
    LIMINE=${LIMINE:-$(env_value LIMINE)}
    # The wrappers hold absolute paths: a project that was moved is set up again.
    [ "$ROOT" = "$root" ] || KIND=''
    ROOT=$root
}

# The value of $1 in target/setup/env; empty if there is none. The file is read, not run: it may be
# anything.
env_value() {
    sed -n "s/^$1='\([^']*\)'\$/\1/p" "$setup_dir/env" 2>/dev/null || true
}

save_env() {
    {
        printf '# Written by tools/setup.sh; remove it, or all of target/setup, whenever you like.\n'
        printf "%s='%s'\n" ROOT "$ROOT" KIND "$KIND" SYSROOT "$SYSROOT" QEMU "$QEMU" HOST32 "$HOST32" SANITIZERS "$SANITIZERS" \
            OVMF "$OVMF" LIMINE "$LIMINE"
    } | write_file "$setup_dir/env"
}

# --- distribution packages ------------------------------------------------------------------------

# The words that make a command run as root: nothing, or sudo where it asks no question. Fails where
# neither works.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# Can packages be installed here at all? If not, `apt_obstacle` says why.
apt_usable() {
    if ! have apt-get; then
        apt_obstacle='this is not a Debian-like system (there is no apt-get)'
        return 1
    fi
    if ! as_root true; then
        apt_obstacle='not root, and there is no sudo that works without a password'
        return 1
    fi
}

# Installs packages and removes none. Its output goes to target/setup/apt.log, and to the terminal
# if it fails. A second attempt follows after refreshing the package lists and finishing an
# installation that was cut off.
apt_install() {
    apt_once "$@" && return
    as_root dpkg --configure -a </dev/null >>"$setup_dir/apt.log" 2>&1 || true
    apt_refresh
    apt_once "$@" && return
    tail -n 15 "$setup_dir/apt.log" >&2
    return 1
}

apt_once() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-remove --no-install-recommends \
        -o DPkg::Lock::Timeout=120 "$@" </dev/null >"$setup_dir/apt.log" 2>&1
}

apt_refresh() {
    as_root apt-get update </dev/null >>"$setup_dir/apt.log" 2>&1 || true
}

# Are all these packages installed, whole?
apt_installed() {
    have dpkg-query || return 1
    for package in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
            installed) ;;
            *) return 1 ;;
        esac
    done
}

# The version of package $1 that apt would install; empty if there is none.
apt_candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}
