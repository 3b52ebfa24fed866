(sleep 0.4; exit 3) & first=$!
jobs -r | wc -l
(exit 4) & second=$!
wait $second; echo "second $?"
wait $first; echo "first $?"
# Each job waits for the one before it, so that the order is certain however slow the machine is.
touch done.0
for n in 3 1 2; do
  (until [ -e done.$((n - 1)) ]; do sleep 0.05; done; echo "job $n" >>log; touch "done.$n") &
done
wait; cat log
sleep 0.3 & wait -n; echo "any $?"
coproc TALK { while read -r line; do echo "heard $line"; done; }
echo hello >&"${TALK[1]}"; read -r answer <&"${TALK[0]}"; echo "$answer"
exec {TALK[1]}>&-; wait
set -m
sleep 10 & kill -STOP %1; wait %1 2>/dev/null; echo "stopped $?"; kill -CONT %1; kill %1; wait %1; echo "ended $?"
timeout 0.2 sleep 5; echo "timeout $?"
{ time -p true; } 2>&1 | wc -l
