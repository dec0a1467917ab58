"""What the tests share: boards, models, files, and the checks that every engine takes."""
