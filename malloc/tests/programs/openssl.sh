# needs: openssl
# version: openssl version
awk -v n=$((30000 * SCALE)) 'BEGIN { for (i = 0; i < n; i++) print i, i * 7919 % 10007 }' >data
openssl dgst -sha256 <data
openssl enc -aes-256-cbc -pbkdf2 -pass pass:word -in data -out data.enc
openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:word -in data.enc | cmp - data || exit 1
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
openssl req -new -x509 -key key.pem -subj /CN=test -days 10 -out cert.pem 2>/dev/null || exit 1
openssl verify -CAfile cert.pem cert.pem
i=0
while [ "$i" -lt $((5 * SCALE)) ]; do
    openssl dgst -sha256 -sign key.pem -out data.sig data || exit 1
    openssl x509 -in cert.pem -noout -pubkey >public.pem
    openssl dgst -sha256 -verify public.pem -signature data.sig data || exit 1
    i=$((i + 1))
done
openssl cms -encrypt -binary -aes256 -in data -outform DER -out data.cms cert.pem &&
    openssl cms -decrypt -binary -inform DER -in data.cms -inkey key.pem -recip cert.pem | cmp - data
