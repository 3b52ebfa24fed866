# Arithmetic, arrays, functions, string operations of the shell alone.
declare -A count
words=(alpha beta gamma delta epsilon)
step() {
  local n=$1 word=${words[$1 % 5]}
  (( count[$word] += n % 7 ))
  case $word in
    *ta) result=$(( (result * 31 + n) % 1000003 )) ;;
    g*) result=$(( result ^ ${#word} )) ;;
    *) result=$(( result + 1 )) ;;
  esac
}
result=1
for (( i = 0; i < 20000; i++ )); do step $i; done
line=
for word in "${words[@]}"; do line+="${word^^}=${count[$word]};"; done
echo "$result ${line//A/_}"
