set -u
declare -A price=([pear]=3 [apple]=12)
for fruit in $(printf '%s\n' "${!price[@]}" | sort); do echo "$fruit ${price[$fruit]}"; done
list=({a..e} x{1..3}y); echo "${#list[@]} ${list[@]:2:3} ${list[-1]}"
text='the quick brown fox'; echo "${text/quick/slow} ${text^^} ${text##* } ${#text} ${unset:-none}"
fib() { local n=$1; if ((n < 2)); then echo "$n"; else echo $(($(fib $((n - 1))) + $(fib $((n - 2))))); fi; }
fib 7
echo $((2 ** 62 - 1)) $((-7 / 2)) $((16#ff ^ 8#17)) $(((1 << 5) | 3))
[[ $text =~ (q[a-z]+)\ (b.*)\  ]] && echo "${BASH_REMATCH[2]}"
case $text in *slow*) echo no ;; the*) echo case ;; esac
printf '%05d|%-8s|%q|%b\n' 42 left "a b'c" 'tab\there'
mapfile -t rows < <(seq 3); echo "${rows[@]}"
while IFS=: read -r user _ id _; do [ "$id" = 0 ] && echo "$user"; done </etc/passwd
echo "${undefined}"
echo not reached
