# The real programs that `make test` runs with libbrkmalloc.so preloaded, and the two libraries that
# `make bench-programs` sets beside it. None is required: the test of a program that is not here is
# left out, with a word.

# A line each: the program, the package that has it, and how it tells its version.
programs='
bash            bash            bash --version
g++             g++             g++ --version
git             git             git --version
make            make            make --version
node            nodejs          node --version
perl            perl            perl -v
python3         python3         python3 --version
redis-server    redis-server    redis-server --version
redis-benchmark redis-tools     redis-server --version
sqlite3         sqlite3         sqlite3 --version
xz              xz-utils        xz --version
'

peer_libraries='libmimalloc2.0 libjemalloc2'

# Sets `missing_packages`, and `programs_title`: what is here, with versions.
programs_ready() {
    missing_packages='' programs_title=''
    while read -r program package version; do
        [ -n "$program" ] || continue
        if have "$program"; then
            number=$($version 2>/dev/null | sed -n 's/^[^.]*[^.0-9]\([0-9][0-9]*\.[0-9.]*[0-9]\).*/\1/p;s/^\([0-9][0-9]*\.[0-9.]*[0-9]\).*/\1/p' | sed -n 1p)
            programs_title="$programs_title${programs_title:+, }$program ${number:-?}"
        else
            missing_packages="$missing_packages $package"
        fi
    done <<END
$programs
END
    for library in $peer_libraries; do
        apt_installed "$library" || missing_packages="$missing_packages $library"
    done
    [ -z "$missing_packages" ]
}

programs_install() {
    if apt_usable; then
        say "installing$missing_packages: 'make test' runs them with libbrkmalloc.so, or beside it (apt)"
        # One that cannot be had must not keep the others out.
        for package in $missing_packages; do
            apt_install "$package" 2>/dev/null || say "going on without $package"
        done
    fi
    programs_ready || say "going on without$missing_packages: ${apt_obstacle:-apt-get could not install them}"
}
