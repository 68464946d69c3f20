"""The tree knows every directory, listed or not."""

from lmarc.interop.tree import Tree


def test_tree_knows_directories_without_an_entry() -> None:
    tree = Tree(["a/b/c", "a/d", "e", "f/g"], ["f/g"])
    assert tree.children("") == ["a", "e", "f"]
    assert tree.children("f/g") == []
    assert tree.is_directory("f/g")
    assert tree.children("a") == ["a/b", "a/d"]
    assert tree.is_directory("a/b")
    assert not tree.is_directory("a/d")
    assert list(tree.below("")) == ["a", "a/b", "a/b/c", "a/d", "e", "f", "f/g"]
    assert list(tree.below("", 1)) == ["a", "e", "f"]
    assert list(Tree([]).below("")) == []
