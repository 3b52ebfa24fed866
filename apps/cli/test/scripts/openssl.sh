seq 20000 >data
for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512 sm3; do openssl dgst -$digest data; done
openssl dgst -sha256 -hmac key data
for cipher in aes-128-cbc aes-256-ctr aes-256-gcm chacha20 camellia-128-cbc des-ede3-cbc; do
  [ $cipher = aes-256-gcm ] && continue
  openssl enc -$cipher -K 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f -iv 0102030405060708090a0b0c0d0e0f10 -in data 2>/dev/null | sha256sum
done
openssl enc -aes-256-cbc -pbkdf2 -S 0102030405060708 -pass pass:word -in data | openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:word -S 0102030405060708 | cmp - data && echo same
openssl genrsa -out rsa.pem 1024 2>/dev/null && openssl rsa -in rsa.pem -check -noout
openssl dgst -sha256 -sign rsa.pem -out data.sig data && openssl dgst -sha256 -prverify rsa.pem -signature data.sig data
openssl ecparam -name prime256v1 -genkey -noout -out ec.pem && openssl dgst -sign ec.pem -out ec.sig data && openssl dgst -prverify ec.pem -signature ec.sig data
openssl genpkey -algorithm ed25519 -out ed.pem && openssl pkeyutl -sign -rawin -inkey ed.pem -in data -out ed.sig && openssl pkeyutl -verify -rawin -inkey ed.pem -in data -sigfile ed.sig
openssl req -new -key rsa.pem -subj /CN=here -out here.csr && openssl req -in here.csr -noout -subject -verify
openssl prime 18446744073709551557; openssl rand -hex 16 | wc -c; openssl passwd -6 -salt salt word
openssl base64 -in data | sed -n 1,2p
openssl nonsense; echo $?
