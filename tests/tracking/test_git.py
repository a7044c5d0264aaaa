"""Reading results from real git repositories."""

import pytest
from tracking_cases import commit, git, write_project

from rakuten.tracking import git as reading
from rakuten.tracking import results
from rakuten.tracking.git import GitError, Repository


@pytest.fixture(params=["", "shop/model"], ids=["repository", "subfolder"])
def project(request, tmp_path):
    """A project that is a git repository, or a folder in one."""
    git(tmp_path, "init", "-q")
    folder = tmp_path / request.param
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("/build/\n")
    write_project(folder)
    return folder


def test_commits_come_newest_first_and_keep_their_own_results(project):
    commit(project, "first")
    write_project(project, dropout=0.3, accuracy=0.9)
    commit(project, "second")
    with Repository(project) as repository:
        found = [result for s in repository.commits() for result in results.found_in(s)]
        assert [result.params["text.dropout"] for result in found] == [0.3, 0.5]
        assert [result.metrics["test/accuracy"] for result in found] == [0.9, 0.8]
        assert list(found[0].attachments) == [
            "reports/text/history.csv",
            "reports/text/metrics.json",
            "reports/charts/confusion_text.png",
        ]
        commits = [result.snapshot.commit for result in found]
        assert commits[0] == repository.head() == reading.head(project)
        assert found[0].snapshot.time > 1_600_000_000


def test_experiments_are_found_by_name_and_others_are_not(project):
    commit(project)
    with Repository(project) as repository:
        head = repository.head()
        git(project, "update-ref", f"refs/exps/ab/{'c' * 38}/brave-name", "HEAD")
        git(project, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/of-head", "HEAD")
        git(project, "update-ref", "refs/exps/stash", "HEAD")
        git(project, "update-ref", "refs/exps/exec/EXEC_HEAD", "HEAD")
        found = {one.experiment: one for one in repository.experiments()}
        assert set(found) == {"brave-name", "of-head"}
        assert found["brave-name"].baseline == "ab" + "c" * 38
        assert len(results.found_in(found["brave-name"])) == 1
        assert [one.experiment for one in repository.experiments(head)] == ["of-head"]


def test_a_missing_file_is_none_and_the_next_one_is_read(project):
    commit(project)
    with Repository(project) as repository:
        head = repository.head()
        assert repository.read(head, "reports/none.json") is None
        assert repository.read(head, "reports") is None  # a folder
        assert repository.read(head, "data.dvc") == (project / "data.dvc").read_bytes()
        assert repository.files(head, "reports/none") == {}


def test_a_repository_without_commits_has_none(project):
    with Repository(project) as repository:
        assert repository.head() == ""
        assert list(repository.commits()) == []
        assert list(repository.experiments()) == []


def test_a_refusal_is_raised_in_the_words_of_git(project, tmp_path_factory, monkeypatch):
    commit(project)
    outside = tmp_path_factory.mktemp("outside")
    with pytest.raises(GitError, match="not a git repository"):
        Repository(outside)
    assert reading.head(outside) == ""
    with monkeypatch.context() as patch:
        patch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        with pytest.raises(GitError, match=r"dubious ownership(.|\n)*safe\.directory"):
            Repository(project)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GitError, match=r"git cannot be run: .*'git'"):
        Repository(project)
    assert reading.head(project) == ""


GPG = """#!/bin/sh
case "$*" in
*--verify*) echo "gpg: Good signature from a test" >&2; exit 0 ;;
esac
cat > /dev/null
echo "[GNUPG:] SIG_CREATED " >&2
printf -- "-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n"
"""


def test_signed_commits_are_read_although_git_shows_their_signatures(project, tmp_path):
    program = tmp_path / "gpg.sh"
    program.write_text(GPG)
    program.chmod(0o755)
    for name, value in (
        ("gpg.program", str(program)),
        ("commit.gpgSign", "true"),
        ("log.showSignature", "true"),
    ):
        git(project, "config", name, value)
    commit(project, "signed")
    with Repository(project) as repository:
        (snapshot,) = repository.commits()
        assert snapshot.commit == repository.head()
        assert len(results.found_in(snapshot)) == 1
