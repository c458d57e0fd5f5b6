# Systems without apt-get: nothing is installed there. One message names all that is missing, and
# the packages that have it.

# A line each: the program, for what, and its package for Fedora, Arch, Homebrew, Nix. `-`: the
# system has it already.
elsewhere_programs='
cc                  run  gcc                    gcc              -      gcc
make                run  make                   make             -      gnumake
cargo               run  rustup                 rustup           rustup rustup
rustup              run  rustup                 rustup           rustup rustup
qemu-system-x86_64  run  qemu-system-x86-core   qemu-system-x86  qemu   qemu
gdb                 gdb  gdb                    gdb              gdb    gdb
'

# Ends the set-up if a program is missing that `$purpose` needs and that this system's packages
# have.
elsewhere_check() {
    ! have apt-get || return 0
    missing='' fedora='' arch='' homebrew='' nix=''
    while read -r program for on_fedora on_arch on_homebrew on_nix; do
        [ -n "$program" ] && { [ "$for" = run ] || [ "$for" = "$purpose" ]; } || continue
        ! have "$program" || continue
        missing="$missing $program"
        fedora=$(elsewhere_with "$fedora" "$on_fedora") arch=$(elsewhere_with "$arch" "$on_arch")
        homebrew=$(elsewhere_with "$homebrew" "$on_homebrew") nix=$(elsewhere_with "$nix" "$on_nix")
    done <<END
$elsewhere_programs
END
    [ -z "$missing" ] || fail "missing here:$missing" \
        "This system has no apt-get, so nothing is installed. To install it yourself, run the line for your system:" \
        "    Fedora:  dnf install$fedora" \
        "    Arch:    pacman -S$arch" \
        "    macOS:   ${homebrew:+brew install$homebrew; }xcode-select --install" \
        "    Nix:     nix-shell -p$nix" \
        "and, where rustup is new:  rustup default stable"
}

# The list $1 with package $2 in it, once.
elsewhere_with() {
    case " $1 " in
        *" $2 "*) printf '%s' "$1" ;;
        *) [ "$2" = - ] && printf '%s' "$1" || printf '%s %s' "$1" "$2" ;;
    esac
}
