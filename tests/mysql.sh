#!/bin/sh
# Unpacks MySQL proper into a folder, and says how the tests start it. Debian has it in unstable only, and its programs
# need newer libraries than those of a release: they bring their own, and nothing is installed.
set -eu

folder=$(realpath -m "$1")
if [ ! -x "$folder/mysqld" ]; then
    debootstrap --variant=minbase --include=mysql-server-core unstable "$folder"
    cat >"$folder/mysqld" <<EOF
#!/bin/sh
exec "$folder"/lib64/ld-linux-x86-64.so.2 --library-path "$folder"/usr/lib/x86_64-linux-gnu "$folder"/usr/sbin/mysqld "\$@"
EOF
    chmod 755 "$folder/mysqld"
fi
"$folder/mysqld" --version
echo "export HAMMERWORK_TEST_MYSQLD=$folder/mysqld"
