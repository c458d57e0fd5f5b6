# What `make examples` boots its programs with: emulators of other processors, firmware for UEFI,
# and the boot loader Limine. None is required: an example whose machine is not here is left out,
# with a word.
#
# Variables: LIMINE=folder  take Limine's BOOTX64.EFI from there.

examples_dir=$setup_dir/examples
examples_qemus='qemu-system-arm qemu-system-aarch64 qemu-system-riscv32 qemu-system-riscv64'
examples_packages='qemu-system-arm qemu-system-misc ovmf'

# The one place that pins Limine: its releases are tags of branches with binaries.
limine_repository=https://github.com/limine-bootloader/limine
limine_tag=v8.2.0-binary

# Sets OVMF, LIMINE and `examples_missing`.
examples_ready() {
    examples_missing=''
    for program in $examples_qemus; do
        have "$program" || [ -x "$examples_dir/$program" ] || examples_missing="$examples_missing $program"
    done
    for file in "$OVMF" /usr/share/OVMF/OVMF_CODE_4M.fd "$examples_dir/root/usr/share/OVMF/OVMF_CODE_4M.fd" /usr/share/OVMF/OVMF_CODE.fd \
        /usr/share/edk2/ovmf/OVMF_CODE.fd /usr/share/edk2/x64/OVMF_CODE.4m.fd; do
        OVMF=$file
        [ ! -f "$OVMF" ] || break
    done
    [ -f "$OVMF" ] || { OVMF='' examples_missing="$examples_missing ovmf"; }
    LIMINE=${LIMINE:-$examples_dir/limine}
    [ -f "$LIMINE/BOOTX64.EFI" ] || { LIMINE='' examples_missing="$examples_missing limine"; }
    [ -z "$examples_missing" ]
}

examples_install() {
    mkdir -p "$examples_dir"
    case $examples_missing in
        *qemu* | *ovmf*)
            if apt_usable; then
                say "installing $examples_packages: 'make examples' boots programs of other processors (apt, about 20 s)"
                if ! apt_install $examples_packages 2>/dev/null; then
                    say "apt would have to change what is installed; unpacking them into target/setup/examples instead"
                    packages_unpack "$examples_dir" $examples_packages || say "they could not be downloaded; see target/setup/apt.log"
                    for program in $examples_qemus; do
                        qemu_wrapper "$examples_dir" "$program" || true
                    done
                fi
            fi
            ;;
    esac
    case $examples_missing in
        *limine*)
            say "fetching Limine $limine_tag: an example boots with it (git)"
            rm -rf "$examples_dir/limine"
            GIT_TERMINAL_PROMPT=0 git clone --quiet --depth 1 --branch "$limine_tag" "$limine_repository" "$examples_dir/limine" \
                </dev/null >"$setup_dir/limine.log" 2>&1 || rm -rf "$examples_dir/limine"
            ;;
    esac
    LIMINE=''
    examples_ready || say "examples go on without$examples_missing: ${apt_obstacle:-they could not be installed}"
}
