echo "$# $2 $1"; set -- x y; echo "$*"; IFS=,; echo "$*"
f() { return 5; }; f; echo $?
eval "v=\$1"; echo "$v"
i=0; while [ $i -lt 200 ]; do i=$((i + 1)); done; echo $i
trap 'echo bye' 0
umask 027; umask; : >made
case abc in a*) echo case ;; esac
printf '%s|' a b; echo
