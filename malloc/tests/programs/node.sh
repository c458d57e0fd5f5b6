# needs: node
# version: node --version
cat >work.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const zlib = require('zlib');
function work(seed, scale) {
    const table = new Map();
    for (let i = 0; i < 30000 * scale; i++) {
        seed = (seed * 48271) % 2147483647;
        const key = 'key' + (seed % 2000);
        table.set(key, (table.get(key) || '') + String.fromCharCode(97 + (seed % 26)));
    }
    const text = JSON.stringify([...table.entries()].sort());
    const packed = zlib.deflateSync(Buffer.from(text));
    const again = JSON.parse(zlib.inflateSync(packed).toString());
    const buffers = Array.from({ length: 200 }, (_, i) => Buffer.alloc(i * 500, i & 255));
    return [again.length, text.length, Buffer.concat(buffers).length];
}
if (isMainThread) {
    const scale = Number(process.env.SCALE), answers = [];
    let left = 3;
    for (let n = 1; n <= 3; n++)
        new Worker(__filename, { workerData: { n, scale } }).on('message', answer => answers.push([n, ...answer])).on('exit', status => {
            if (status !== 0) process.exit(status);
            if (--left === 0) console.log(JSON.stringify(answers.sort()), work(9, scale));
        });
} else {
    parentPort.postMessage(work(workerData.n, workerData.scale));
}
END
exec node work.js
