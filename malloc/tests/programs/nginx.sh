# needs: nginx curl
# version: nginx -v 2>&1
# measured: no
port=$((20000 + $$ % 20000))
mkdir -p html logs
awk 'BEGIN { for (i = 0; i < 3000; i++) print i, i * 7919 % 10007 }' >html/data.txt
echo hello >html/index.html
cat >nginx.conf <<END
daemon off;
master_process on;
worker_processes 2;
error_log $PWD/logs/error.log;
pid $PWD/nginx.pid;
events { worker_connections 256; }
http {
    access_log $PWD/logs/access.log;
    client_body_temp_path $PWD/body; proxy_temp_path $PWD/proxy; fastcgi_temp_path $PWD/fastcgi;
    uwsgi_temp_path $PWD/uwsgi; scgi_temp_path $PWD/scgi;
    gzip on; gzip_types text/plain; gzip_min_length 100;
    upstream self { server 127.0.0.1:$port; keepalive 4; }
    server {
        listen 127.0.0.1:$port;
        root $PWD/html;
        location /through/ { proxy_pass http://self/; proxy_http_version 1.1; proxy_set_header Connection ""; }
        location ~ ^/re/(.*)\$ { return 200 "\$1 \$arg_q\\n"; }
    }
}
END
# A worker of another user must reach the files.
chmod 755 . html; chmod 644 html/*
[ "$(id -u)" != 0 ] || sed -i '1i user root;' nginx.conf
nginx -p "$PWD" -c nginx.conf 2>start.log &
server=$!
tries=0
until curl -sf "http://127.0.0.1:$port/" >/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$server"; then cat start.log logs/error.log >&2; exit 1; fi
    sleep 0.1
done
get() { curl -sf --compressed "http://127.0.0.1:$port/$1" "http://127.0.0.1:$port/$1"; }
i=0
while [ "$i" -lt $((30 * SCALE)) ]; do
    get data.txt && get through/data.txt && get "re/word$i?q=$i"
    i=$((i + 1))
done | sha256sum
# Its workers begin anew, and serve.
kill -HUP "$server"
sleep 0.3
get index.html
kill -QUIT "$server"
wait "$server"
echo "status $?"
grep -E "alert|emerg|exited on signal" logs/error.log
exit 0
