# The kernel's compiler from Debian's packages, for machines where rustup is missing or cannot
# download.
#
# Debian keeps its current Rust in the packages `rustc-web` and so on, and the release's own in
# `rustc`. Whichever is newer is taken, with the LLVM tools of the version it was built with; no
# version is written down here but the oldest that will do. The compiler stays beside a rustup on
# PATH and does not disturb it: only target/setup/bin calls it.

# The oldest release whose cargo knows `-Zjson-target-spec`.
debian_minimum=1.95

# Installs the packages where they are missing, and makes target/setup/sysroot. `debian_obstacle`
# says why not.
debian_install() {
    if ! debian_choose_packages; then
        apt_usable && apt_refresh
        if ! debian_choose_packages; then
            debian_obstacle="${apt_obstacle:-no rustc $debian_minimum or newer among this system's packages}"
            return 1
        fi
    fi
    if ! apt_installed $debian_packages; then
        if ! apt_usable; then
            debian_obstacle=$apt_obstacle
            return 1
        fi
        say "installing $debian_packages: the kernel's target needs 'core' rebuilt (apt, about 30 s)"
        if ! apt_install $debian_packages; then
            debian_obstacle="apt-get could not install them; its output is in target/setup/apt.log"
            return 1
        fi
    fi
    debian_sysroot "$debian_llvm"
    SYSROOT=$setup_dir/sysroot KIND=debian
    sysroot_complete "$SYSROOT" && return
    debian_obstacle="the packages are installed, but rustc, its source or the LLVM tools are not where they should be"
    return 1
}

# Sets `debian_packages` and `debian_llvm`, the version of the matching LLVM. Fails if no release is
# new enough.
debian_choose_packages() {
    have apt-cache || return 1
    debian_packages='' newest=$debian_minimum
    for set in 'rustc-web cargo-web rust-web-src rust-web-llvm' 'rustc cargo rust-src rust-llvm'; do
        version=$(apt_candidate "${set%% *}")
        if [ -n "$version" ] && dpkg --compare-versions "$version" ge "$newest"; then
            newest=$version debian_packages=$set
        fi
    done
    [ -n "$debian_packages" ] || return 1
    debian_llvm=$(apt-cache show "${debian_packages##* }=$newest" 2>/dev/null |
        sed -n 's/^Depends:.*[ ,]llvm-\([0-9][0-9]*\).*/\1/p' | head -n 1)
    [ -n "$debian_llvm" ] || return 1
    debian_packages="$debian_packages lld-$debian_llvm"
}

# A sysroot of links: Debian's own, with the LLVM tools under the names and in the place where
# bootimage and the bootloader look for them. $1 is the version of LLVM.
debian_sysroot() {
    host=$(/usr/bin/rustc -vV | sed -n 's/^host: //p')
    rustlib=$(/usr/bin/rustc --print sysroot)/lib/rustlib
    new=$setup_dir/sysroot.new
    rm -rf "$new"
    mkdir -p "$new/bin" "$new/lib/rustlib/$host/bin"
    ln -s /usr/bin/rustc /usr/bin/cargo "$new/bin/"
    ln -s "$rustlib/src" "$new/lib/rustlib/src"
    ln -s "$rustlib/$host/lib" "$new/lib/rustlib/$host/lib"
    ln -s "/usr/lib/llvm-$1/bin/lld" "$new/lib/rustlib/$host/bin/rust-lld"
    for tool in $llvm_tools; do
        ln -s "/usr/lib/llvm-$1/bin/$tool" "$new/lib/rustlib/$host/bin/$tool"
    done
    rm -rf "$setup_dir/sysroot"
    mv "$new" "$setup_dir/sysroot"
}
