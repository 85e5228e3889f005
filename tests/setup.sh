#!/bin/sh
# Prepares what `make` needs beyond git and make. Usage: tests/setup.sh venv DIR | newest DIR | tests STAMP | web STAMP | mermaid
# Missing Debian packages are installed where that is allowed (root, or sudo without a password);
# elsewhere this says what to type.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    has apt-get && { [ "$(id -u)" = 0 ] || { has sudo && sudo -n true 2>/dev/null; }; }
}

# The packages to install: of names joined by "|", the first that this system offers, or the last.
offered() {
    for names in "$@"; do
        for package in $(echo "$names" | tr '|' ' '); do
            if apt-cache show "$package" >/dev/null 2>&1; then break; fi
        done
        echo "$package"
    done
}

# Installs packages without starting their services: the tests start servers of their own.
install_packages() {
    may_install || return 1
    say "Installing $* (this can take some minutes)"
    policy=/usr/sbin/policy-rc.d
    quiet=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        quiet=yes
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt="env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0"
    status=0
    # shellcheck disable=SC2046  one word a package
    { as_root $apt update && as_root $apt install -y --no-install-recommends $(offered "$@"); } >/dev/null </dev/null ||
        status=$?
    if [ "$quiet" = yes ]; then
        as_root rm -f "$policy"
        trap - EXIT
    fi
    return "$status"
}

# The first Python that is new enough; $PYTHON goes first.
find_python() {
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
    return 1
}

make_venv() {
    if ! python=$(find_python); then
        install_packages python3 python3-venv || true
        python=$(find_python) || {
            say "hammerwork needs Python 3.11 or newer. Install it, or name it: make PYTHON=/path/to/python3.11"
            exit 1
        }
    fi
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        install_packages python3-venv || {
            say "$python cannot make virtual environments. Type this, then the same make command again:"
            say "    sudo apt-get update && sudo apt-get install python3-venv"
            exit 1
        }
    fi
    say "Installing hammerwork into $1 (this can take some minutes)"
    "$python" -m venv "$1"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    if [ -n "${LOCKED:-}" ]; then
        "$1/bin/python" -m pip install --quiet --require-hashes --requirement requirements-dev.lock
        "$1/bin/python" -m pip install --quiet --no-deps --editable .
    else
        "$1/bin/python" -m pip install --quiet --editable . --group dev
    fi
}

# A virtual environment of the newest Python here, with the newest PostgreSQL that can be had as its initdb.
prepare_newest() {
    for python in python3 python3.12 python3.13 python3.14 python3.15 /usr/bin/python3; do
        "$python" -c 'import ensurepip, sys; print("%d%03d" % sys.version_info[:2], sys.executable)' 2>/dev/null || true
    done | sort -n | tail -n 1 >"$1.python"
    PYTHON=$(cut -d " " -f 2 <"$1.python")
    rm "$1.python"
    make_venv "$1"
    newest=$(apt-cache search --names-only '^postgresql-[0-9]+$' 2>/dev/null | cut -d " " -f 1 | sort -V | tail -n 1)
    initdb=/usr/lib/postgresql/${newest#postgresql-}/bin/initdb
    if [ -n "$newest" ] && { [ -x "$initdb" ] || install_packages "$newest"; }; then
        ln -sf "$initdb" "$1/bin/initdb"
    else
        say "No newer PostgreSQL can be installed: these tests use the one that is here."
    fi
}

wanted_packages() {
    if [ -z "${HAMMERWORK_TEST_POSTGRES_URL:-}" ]; then
        has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
    fi
    has psql || echo postgresql-client
    has pgbouncer || echo pgbouncer
    if [ -z "${HAMMERWORK_TEST_MYSQL_URL:-}" ]; then
        has mariadbd || has mysqld || echo mariadb-server-core
    fi
    has mariadb || has mysql || echo mariadb-client-core
    has node || has nodejs || echo nodejs
    has npm || echo npm
    has redis-server || echo redis-server
    has nats-server || echo nats-server
    has bash || echo bash
    has zsh || echo zsh
    has fish || echo fish
    has jq || echo jq
    has curl || echo curl
    has openssl || echo openssl
    has dot || echo graphviz
    has systemd-analyze || echo systemd
    has chromium-headless-shell || has chromium || echo 'chromium-headless-shell|chromium'
    ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || echo libfaketime
}

# Touches the stamp when nothing is missing, so that the next run tries again otherwise.
prepare_tests() {
    complete=yes
    packages=$(wanted_packages | tr '\n' ' ')
    # shellcheck disable=SC2086  one word a package
    if [ -n "$packages" ] && ! install_packages $packages; then
        complete=no
        # shellcheck disable=SC2086
        packages=$(offered $packages | tr '\n' ' ')
        say "The tests that need these are skipped (and fail when CI=true): $packages"
        say "    sudo apt-get update && sudo apt-get install --no-install-recommends $packages"
        case $packages in
            *postgresql* | *mariadb*)
                say "Servers elsewhere serve as well, as a user who may create databases:"
                say "    HAMMERWORK_TEST_POSTGRES_URL=postgresql://user:password@host/postgres"
                say "    HAMMERWORK_TEST_MYSQL_URL=mysql://user:password@host/mysql"
                ;;
        esac
    fi
    if ! install_node_tools mermaid; then
        complete=no
        say "The Mermaid parser is not installed: its tests are skipped (and fail when CI=true)."
    fi
    if ! prepare_generators "$(dirname "$1")"; then
        complete=no
        say "The generators of clients are not installed: their tests are skipped (and fail when CI=true)."
    fi
    if install_node_tools web; then
        touch "$(dirname "$1")/web-tools"
    else
        complete=no
        say "TypeScript and ESLint are not installed: the tests of the JavaScript are skipped (and fail when CI=true)."
    fi
    [ "$complete" = no ] || touch "$1"
}

# Installs the tools that check the JavaScript, for `make check`.
prepare_web() {
    if has npm || install_packages nodejs npm; then
        install_node_tools web
        touch "$1"
    else
        say "TypeScript and ESLint need Node. Type this, then the same make command again:"
        say "    sudo apt-get update && sudo apt-get install --no-install-recommends nodejs npm"
        exit 1
    fi
}

# Installs what makes clients of the contract of the REST API. The one in Python needs other versions of what hammerwork uses.
prepare_generators() {
    "$1/bin/python" -m venv build/generators &&
        build/generators/bin/python -m pip install --quiet --disable-pip-version-check \
            --requirement tests/generators/requirements.txt &&
        install_node_tools generators
}

# Installs Mermaid, which draws the diagrams of the site. The site can do without.
prepare_mermaid() {
    install_node_tools mermaid || say "Mermaid cannot be installed (is npm there?): the site shows diagrams as text."
}

# What package-lock.json in a folder of tests/ lists.
install_node_tools() {
    has npm && (cd "tests/$1" && npm ci --silent --no-audit --no-fund --ignore-scripts </dev/null)
}

case ${1:-} in
    venv) make_venv "$2" ;;
    newest) prepare_newest "$2" ;;
    tests) prepare_tests "$2" ;;
    web) prepare_web "$2" ;;
    mermaid) prepare_mermaid ;;
    *) say "Usage: $0 venv DIR | newest DIR | tests STAMP | web STAMP | mermaid"; exit 2 ;;
esac
