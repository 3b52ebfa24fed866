trap 'echo "exit trap $?"' EXIT
trap 'echo usr1' USR1; trap 'echo usr2; USED=yes' USR2
kill -USR1 $$; kill -USR2 $$; echo "$USED"
trap '' TERM; kill -TERM $$; echo survived
trap - TERM
(trap 'echo child term; exit 9' TERM; kill -TERM $BASHPID; echo no); echo "child $?"
trap 'echo "error on $LINENO"' ERR; false; trap - ERR
bash -c 'kill -KILL $$'; echo "killed $?"
bash -c 'kill -SEGV $$'; echo "segv $?"
(sleep 5 & kill $!; wait $!; echo "sleep $?")
trap 'echo child changed' CHLD; set -m; (exit 2); set +m; trap - CHLD
trap -p USR1
exit 6
