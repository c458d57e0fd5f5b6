# bootimage joins the kernel and the bootloader to a disk image. It is built from its source package
# into target/setup.

bootimage_version=0.10.5

bootimage_ready() {
    [ "$("$setup_dir/bin/bootimage" --version 2>/dev/null)" = "bootimage $bootimage_version" ] &&
        [ "$("$setup_dir/bin/cargo-bootimage" bootimage --version 2>/dev/null)" = "bootimage $bootimage_version" ]
}

bootimage_install() {
    say "building bootimage $bootimage_version: it makes a bootable disk image of the kernel (cargo install, about 15 s)"
    CARGO_TARGET_DIR="$setup_dir/build" cargo install --quiet --locked --force \
        --version "=$bootimage_version" --root "$setup_dir" bootimage 2>"$setup_dir/bootimage.log" ||
        fail "could not build bootimage $bootimage_version" "$(tail -n 15 "$setup_dir/bootimage.log")" \
            "by hand:  cargo install --locked --version =$bootimage_version --root target/setup bootimage"
    rm -rf "$setup_dir/build"
    bootimage_ready || fail "bootimage $bootimage_version was built, but does not run: $setup_dir/bin/bootimage"
}
