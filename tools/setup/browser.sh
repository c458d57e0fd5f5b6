# Chromium, for `make test-all`: it opens the pages of `make story`. Where it cannot be had, their
# test is left out, and says so. The names are those that tools/harness/src/steps/story.rs tries.

browser_ready() {
    have chromium || have chromium-browser || have google-chrome
}

browser_install() {
    if apt_usable; then
        say "installing chromium: 'make test-all' opens the pages of stories in it (apt, about 30 s)"
        apt_install chromium || apt_obstacle='apt-get could not install chromium'
    fi
    browser_ready || say "going on without a browser: ${apt_obstacle:-chromium is not on PATH}"
}
