git init -q -b main repository && cd repository || exit 1
git config user.name Somebody; git config user.email somebody@example.org
printf 'first\nsecond\nthird\n' >poem; mkdir folder; seq 400 >folder/numbers
git add . && git commit -qm 'The beginning'
sed -i 's/second/2nd/' poem; git diff; git commit -qam 'A change'
git checkout -q -b side HEAD~1; echo fourth >>poem; git commit -qam 'A side'
git checkout -q main; git merge -q -m 'Together' side
git log --graph --format='%h %an %ad %s' --stat
git show --stat HEAD~1; git blame -s poem
git tag v1; git describe; git status --short --branch
echo untracked >new; git stash -q -u; git stash list; git stash pop -q; git status --porcelain
git repack -adq; git fsck --strict; git rev-list --all --objects | wc -l
git clone -q . ../copy 2>&1; git -C ../copy log --oneline | wc -l
git archive HEAD | sha256sum
cd .. && rm -rf repository/.git copy/.git
