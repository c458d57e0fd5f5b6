# bootimage joins the kernel and the bootloader to a disk image. It is built from its source package
# into target/setup.

bootimage_version=0.10.5

bootimage_ready() {
    [ "$("$setup_dir/bin/bootimage" --version 2>/dev/null)" = "bootimage $bootimage_version" ] &&
        [ "$("$setup_dir/bin/cargo-bootimage" bootimage --version 2>/dev/null)" = "bootimage $bootimage_version" ]
}

bootimage_install() {
    cargo_install bootimage "$bootimage_version" "it makes a bootable disk image of the kernel (cargo install, about 15 s)"
    bootimage_ready || fail "bootimage $bootimage_version was built, but does not run: $setup_dir/bin/bootimage"
}
