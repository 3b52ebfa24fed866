seq 1 2000 | tee all | grep 7 | sort -rn | head -n 3
echo "${PIPESTATUS[@]}" | tr ' ' '\n' | sort -u | wc -l
(cd / && pwd; exit 3); echo "subshell $?"
{ echo out; echo err >&2; } 2>&1 | sort
cat <<END | tr a-z A-Z
expanded $((6 * 7))
END
cat <<'END'
as $it is
END
cat <<<"a string"
diff <(seq 3) <(seq 2 4)
exec 5>trace; echo to five >&5; exec 5>&-; cat trace
echo appended >>trace; wc -l <trace
set -o noclobber; echo x >trace; echo "clobber $?"
(echo lost; exit 4) | (read -r word; echo "read $word"); echo "${PIPESTATUS[*]}"
set -o pipefail; false | true; echo "pipefail $?"
exec 3<>all; read -r -u 3 first; echo "$first"; read -r -n 2 -u 3 second; echo "$second"
yes | head -n 100000 | wc -l
nowhere-to-be-found; echo "status $?"
./all; echo "status $?"
