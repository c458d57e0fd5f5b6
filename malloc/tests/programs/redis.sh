# needs: redis-server redis-cli redis-benchmark
# version: redis-server --version
port=$((20000 + $$ % 20000))
redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --daemonize no --logfile server.log &
server=$!
cli() { redis-cli -h 127.0.0.1 -p "$port" "$@"; }
tries=0
until [ "$(cli ping 2>/dev/null)" = PONG ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$server"; then cat server.log >&2; exit 1; fi
    sleep 0.1
done
status=0
redis-benchmark -h 127.0.0.1 -p "$port" -q -c 20 -n $((3000 * SCALE)) -r 2000 -d 100 -t set,get,lpush,lpop,sadd,hset,zadd,lrange_100,mset >bench.log 2>&1 || status=$?
i=0
while [ "$i" -lt 500 ]; do echo "set key:$i value-$i-$(printf '%0200d' "$i")"; i=$((i + 1)); done | cli >/dev/null || status=$?
cli get key:123
cli eval 'local t = {} for i = 1, 1000 do t[i] = redis.call("get", "key:" .. (i % 500)) end return #table.concat(t)' 0
cli flushall
cli dbsize
cli shutdown nosave
wait "$server" || status=$?
exit "$status"
