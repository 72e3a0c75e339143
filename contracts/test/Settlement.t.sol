// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Settlement} from "../src/Settlement.sol";
import {Network} from "./support/Network.sol";
import {Tree} from "./support/Tree.sol";
import {vm} from "./support/Vm.sol";

contract SettlementTest is Network {
    function setUp() public {
        _deploy();
    }

    // ---------------------------------------------------------------- deposits

    function testFuzz_a_deposit_is_pulled_and_counted(address requester, uint128 first, uint64 second) public {
        vm.assume(requester != address(0));
        vm.assume(first != 0 && second != 0 && first < type(uint128).max - second);
        uint256 sum = uint256(first) + second;
        token.mint(address(this), sum);
        token.approve(address(settlement), sum);
        vm.expectEmit(true, true, true, true, address(settlement));
        emit Settlement.Deposited(requester, address(this), first, first);
        settlement.deposit(requester, first);
        settlement.deposit(requester, second);
        eq(settlement.deposited(requester), sum, "deposited");
        eq(settlement.totalDeposited(), sum, "total");
        eq(token.balanceOf(address(settlement)), sum, "balance");
    }

    function test_a_deposit_needs_an_owner_and_an_amount() public {
        vm.expectRevert(abi.encodeWithSelector(Settlement.ZeroAddress.selector));
        settlement.deposit(address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(Settlement.ZeroAmount.selector));
        settlement.deposit(ALICE, 0);
    }

    // ---------------------------------------------------------------- epochs

    function test_only_the_settler_proposes_and_only_the_guardian_vetoes() public {
        bytes32 settler = settlement.SETTLER_ROLE();
        bytes32 guardian = settlement.GUARDIAN_ROLE();
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, address(this), settler)
        );
        settlement.proposeEpoch(1, 0, 0, Settlement.Totals(0, 0), 0, "");
        _propose(1, new Row[](0), new Row[](0));
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, SETTLER, guardian)
        );
        vm.prank(SETTLER);
        settlement.vetoEpoch(1, "");
    }

    function test_epochs_come_one_after_the_other() public {
        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochOutOfOrder.selector, 2, 1));
        vm.prank(SETTLER);
        settlement.proposeEpoch(2, 0, 0, Settlement.Totals(0, 0), 0, "");

        _propose(1, new Row[](0), new Row[](0));
        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochPending.selector, 1));
        vm.prank(SETTLER);
        settlement.proposeEpoch(1, 0, 0, Settlement.Totals(0, 0), 0, "");
    }

    function test_an_epoch_is_final_only_after_its_window() public {
        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochNotPending.selector, 1));
        settlement.finalizeEpoch(1);

        _propose(1, new Row[](0), new Row[](0));
        uint64 endsAt = uint64(block.timestamp) + WINDOW;
        vm.warp(endsAt - 1);
        vm.expectRevert(abi.encodeWithSelector(Settlement.ChallengeWindowOpen.selector, 1, endsAt));
        settlement.finalizeEpoch(1);
        vm.warp(endsAt);
        vm.prank(BOB);
        settlement.finalizeEpoch(1);
        eq(settlement.lastEpoch(), 1, "last");
        eq(settlement.epochs(1).finalizedAt, endsAt, "finalized at");

        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochNotPending.selector, 1));
        settlement.finalizeEpoch(1);
        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochNotPending.selector, 1));
        vm.prank(GUARDIAN);
        settlement.vetoEpoch(1, "too late");
    }

    function test_a_vetoed_epoch_pays_nothing_and_its_number_is_free() public {
        _deposit(REQUESTER, 100);
        Row[] memory wrong = _rows(BOB, 100);
        _propose(1, wrong, _rows(REQUESTER, 100));
        vm.expectEmit(true, true, true, true, address(settlement));
        emit Settlement.EpochVetoed(1, GUARDIAN, keccak256(abi.encode(uint64(1))), "BOB did nothing");
        vm.prank(GUARDIAN);
        settlement.vetoEpoch(1, "BOB did nothing");
        vm.warp(block.timestamp + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochNotPending.selector, 1));
        settlement.finalizeEpoch(1);

        _settle(1, _rows(ALICE, 100), _rows(REQUESTER, 100));
        bytes32[] memory proof = _creditProof(wrong, 0);
        vm.expectRevert(abi.encodeWithSelector(Settlement.InvalidProof.selector, Settlement.Side.Credit, BOB, 100, 1));
        _claim(BOB, 100, 1, proof);
    }

    function testFuzz_credits_and_debits_grow_alike(uint64 credits, uint64 debits) public {
        vm.assume(credits != debits);
        _deposit(REQUESTER, type(uint128).max);
        vm.expectRevert(abi.encodeWithSelector(Settlement.NotConserved.selector, credits, debits));
        vm.prank(SETTLER);
        settlement.proposeEpoch(1, 0, 0, Settlement.Totals(credits, debits), 0, "");
    }

    function testFuzz_credits_are_covered_by_deposits(uint64 credits, uint64 deposits) public {
        if (deposits != 0) _deposit(REQUESTER, deposits);
        if (credits > deposits) {
            vm.expectRevert(abi.encodeWithSelector(Settlement.CreditsExceedDeposits.selector, credits, deposits));
        }
        vm.prank(SETTLER);
        settlement.proposeEpoch(1, 0, 0, Settlement.Totals(credits, credits), 0, "");
    }

    function testFuzz_totals_never_fall(uint64 before, uint64 next) public {
        vm.assume(next < before);
        _deposit(REQUESTER, before);
        _settle(1, _rows(ALICE, before), _rows(REQUESTER, before));
        vm.expectRevert(abi.encodeWithSelector(Settlement.TotalsFell.selector, next, before, next, before));
        vm.prank(SETTLER);
        settlement.proposeEpoch(2, 0, 0, Settlement.Totals(next, next), 0, "");
    }

    // ---------------------------------------------------------------- claims

    function _claim(address account, uint256 cumulative, uint64 epoch, bytes32[] memory proof) private {
        vm.prank(account);
        settlement.claim(cumulative, epoch, proof);
    }

    function testFuzz_a_claim_pays_the_difference_once(uint64 first, uint64 second) public {
        vm.assume(first != 0 && second != 0);
        uint256 sum = uint256(first) + second;
        _deposit(REQUESTER, 3 * sum);
        Row[] memory rows = _rows(ALICE, first, BOB, 2 * uint256(second));
        _settle(1, rows, _rows(REQUESTER, _sum(rows)));

        _claim(ALICE, first, 1, _creditProof(rows, 0));
        eq(token.balanceOf(ALICE), first, "first claim");
        bytes32[] memory proof = _creditProof(rows, 0);
        vm.expectRevert(abi.encodeWithSelector(Settlement.NothingToClaim.selector, ALICE, first, first));
        _claim(ALICE, first, 1, proof);

        Row[] memory later = _rows(ALICE, sum, BOB, 2 * uint256(second));
        _settle(2, later, _rows(REQUESTER, _sum(later)));
        vm.expectEmit(true, true, true, true, address(settlement));
        emit Settlement.Claimed(ALICE, 2, second, sum);
        proof = _creditProof(later, 0);
        _claim(ALICE, sum, 2, proof);
        eq(token.balanceOf(ALICE), sum, "both claims");
        eq(settlement.claimed(ALICE), sum, "marker");
        eq(settlement.totalClaimed(), sum, "total");
    }

    function test_any_finalized_epoch_is_accepted_for_ever() public {
        _deposit(REQUESTER, 100);
        Row[] memory rows = _rows(ALICE, 10, BOB, 20);
        _settle(1, rows, _rows(REQUESTER, 30));
        _settle(2, _rows(ALICE, 15, BOB, 20), _rows(REQUESTER, 35));
        _claim(ALICE, 10, 1, _creditProof(rows, 0));
        eq(token.balanceOf(ALICE), 10, "by the older root");
    }

    function test_a_pending_epoch_pays_nothing() public {
        _deposit(REQUESTER, 100);
        Row[] memory rows = _rows(ALICE, 10);
        _propose(1, rows, _rows(REQUESTER, 10));
        bytes32[] memory proof = _creditProof(rows, 0);
        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochNotFinalized.selector, 1));
        _claim(ALICE, 10, 1, proof);
    }

    function testFuzz_a_proof_serves_its_account_amount_and_side_only(uint8 count, uint8 pick, uint64 wrong) public {
        vm.assume(count > 1);
        uint256 index = pick % count;
        Row[] memory rows = new Row[](count);
        for (uint256 i = 0; i < count; i++) {
            rows[i] = Row(address(uint160(0x1000 + i)), 1_000 + i);
        }
        _deposit(REQUESTER, _sum(rows));
        _settle(1, rows, _rows(REQUESTER, _sum(rows)));
        bytes32[] memory proof = _creditProof(rows, index);
        (address account, uint256 cumulative) = (rows[index].account, rows[index].cumulative);
        vm.assume(wrong != cumulative);

        vm.expectPartialRevert(Settlement.InvalidProof.selector);
        _claim(account, wrong, 1, proof);
        vm.expectPartialRevert(Settlement.InvalidProof.selector);
        _claim(rows[(index + 1) % count].account, cumulative, 1, proof);

        _claim(account, cumulative, 1, proof);
        eq(token.balanceOf(account), cumulative, "paid");
    }

    function test_a_root_that_promises_more_than_its_totals_never_reaches_deposits() public {
        _deposit(REQUESTER, 1_000);
        Row[] memory rows = _rows(ALICE, 60, BOB, 60);
        bytes32 root = Tree.root(_leaves(Settlement.Side.Credit, rows));
        vm.prank(SETTLER);
        settlement.proposeEpoch(1, root, 0, Settlement.Totals(100, 100), 0, "");
        vm.warp(block.timestamp + WINDOW);
        settlement.finalizeEpoch(1);
        _claim(ALICE, 60, 1, _creditProof(rows, 0));
        bytes32[] memory proof = _creditProof(rows, 1);
        vm.expectRevert(abi.encodeWithSelector(Settlement.ClaimsExceedCredits.selector, 120, 100));
        _claim(BOB, 60, 1, proof);
    }

    // ---------------------------------------------------------------- exits

    function _exitAfterSpending(uint256 held, uint256 spent) private returns (bytes32[] memory proof) {
        _deposit(REQUESTER, held);
        vm.prank(REQUESTER);
        settlement.requestExit();
        vm.warp(block.timestamp + EXIT_DELAY + 1);
        Row[] memory debits = _rows(REQUESTER, spent);
        _settle(1, _rows(ALICE, spent), debits);
        return _debitProof(debits, 0);
    }

    function testFuzz_an_exit_returns_what_was_not_spent_and_no_more(uint128 held, uint128 spent) public {
        vm.assume(spent < held && spent != 0);
        bytes32[] memory proof = _exitAfterSpending(held, spent);
        vm.expectEmit(true, true, true, true, address(settlement));
        emit Settlement.Withdrawn(REQUESTER, BOB, 1, held - spent, spent);
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(spent, 1, proof, BOB);
        eq(token.balanceOf(BOB), held - spent, "returned");
        eq(settlement.deposited(REQUESTER), spent, "what is left covers what was spent");
        eq(settlement.totalDeposited(), spent, "total");

        vm.expectRevert(abi.encodeWithSelector(Settlement.NoExitRequested.selector, REQUESTER));
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(spent, 1, proof, BOB);

        _claim(ALICE, spent, 1, new bytes32[](0));
        eq(token.balanceOf(address(settlement)), 0, "everybody was paid");
    }

    function test_a_second_exit_finds_nothing_left() public {
        bytes32[] memory proof = _exitAfterSpending(100, 30);
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(30, 1, proof, REQUESTER);
        vm.prank(REQUESTER);
        settlement.requestExit();
        vm.warp(block.timestamp + EXIT_DELAY + 1);
        _settle(2, _rows(ALICE, 30), _rows(REQUESTER, 30));
        vm.expectRevert(abi.encodeWithSelector(Settlement.NothingToWithdraw.selector, REQUESTER, 30, 30));
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(30, 2, proof, REQUESTER);
    }

    function test_an_exit_waits_for_an_epoch_proposed_after_its_delay() public {
        _deposit(REQUESTER, 100);
        Row[] memory debits = _rows(REQUESTER, 30);
        bytes32[] memory proof = _debitProof(debits, 0);
        _settle(1, _rows(ALICE, 30), debits);

        vm.expectRevert(abi.encodeWithSelector(Settlement.NoExitRequested.selector, REQUESTER));
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(30, 1, proof, REQUESTER);

        uint64 requestedAt = uint64(block.timestamp);
        uint64 maturesAt = requestedAt + EXIT_DELAY;
        vm.prank(REQUESTER);
        settlement.requestExit();
        vm.expectRevert(abi.encodeWithSelector(Settlement.ExitAlreadyRequested.selector, REQUESTER, requestedAt));
        vm.prank(REQUESTER);
        settlement.requestExit();

        // Proposed before the delay was over and finalized after it: debits of running orders may be missing.
        vm.warp(maturesAt);
        _settle(2, _rows(ALICE, 30), debits);
        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochBeforeExit.selector, 2, maturesAt, maturesAt));
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(30, 2, proof, REQUESTER);

        _settle(3, _rows(ALICE, 40), _rows(REQUESTER, 40));
        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochNotLatest.selector, 2, 3));
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(30, 2, proof, REQUESTER);
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(40, 3, new bytes32[](0), REQUESTER);
        eq(token.balanceOf(REQUESTER), 60, "returned");
    }

    function test_a_requester_that_never_spent_needs_the_settlers_word() public {
        address idle = address(0x1D1E);
        _deposit(REQUESTER, 100);
        _deposit(idle, 50);
        vm.prank(idle);
        settlement.requestExit();
        vm.warp(block.timestamp + EXIT_DELAY + 1);
        _settle(1, _rows(ALICE, 30), _rows(REQUESTER, 30));
        vm.expectRevert(abi.encodeWithSelector(Settlement.InvalidProof.selector, Settlement.Side.Debit, idle, 0, 1));
        vm.prank(idle);
        settlement.withdrawUnspent(0, 1, new bytes32[](0), idle);

        vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
        settlement.attestUnspent(idle, 1);
        vm.expectRevert(abi.encodeWithSelector(Settlement.EpochNotLatest.selector, 2, 1));
        vm.prank(SETTLER);
        settlement.attestUnspent(idle, 2);
        vm.prank(SETTLER);
        settlement.attestUnspent(idle, 1);

        vm.prank(idle);
        settlement.withdrawUnspent(0, 1, new bytes32[](0), idle);
        eq(token.balanceOf(idle), 50, "returned");
    }

    function test_an_attestation_is_worthless_after_the_next_epoch() public {
        _deposit(REQUESTER, 100);
        vm.prank(REQUESTER);
        settlement.requestExit();
        vm.warp(block.timestamp + EXIT_DELAY + 1);
        _settle(1, new Row[](0), new Row[](0));
        vm.prank(SETTLER);
        settlement.attestUnspent(REQUESTER, 1);
        _settle(2, _rows(ALICE, 30), _rows(REQUESTER, 30));
        vm.expectPartialRevert(Settlement.InvalidProof.selector);
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(0, 2, new bytes32[](0), REQUESTER);
    }

    function test_an_exit_never_uncovers_what_is_credited_or_proposed() public {
        bytes32[] memory proof = _exitAfterSpending(100, 30);
        // A later proposal already counts on 80.
        _propose(2, _rows(ALICE, 80), _rows(REQUESTER, 80));
        vm.expectRevert(abi.encodeWithSelector(Settlement.WithdrawalUncoversCredits.selector, 30, 80));
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(30, 1, proof, REQUESTER);

        vm.prank(GUARDIAN);
        settlement.vetoEpoch(2, "wrong");
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(30, 1, proof, REQUESTER);
        eq(token.balanceOf(REQUESTER), 70, "returned");
    }

    function test_a_credit_proof_is_no_debit_proof() public {
        _deposit(REQUESTER, 100);
        vm.prank(REQUESTER);
        settlement.requestExit();
        vm.warp(block.timestamp + EXIT_DELAY + 1);
        // The requester is credited 10 and debited 30, and tries to pass the smaller for what it spent.
        Row[] memory credits = _rows(REQUESTER, 10, ALICE, 20);
        _settle(1, credits, _rows(REQUESTER, 30));
        bytes32[] memory proof = _creditProof(credits, 0);
        vm.expectRevert(
            abi.encodeWithSelector(Settlement.InvalidProof.selector, Settlement.Side.Debit, REQUESTER, 10, 1)
        );
        vm.prank(REQUESTER);
        settlement.withdrawUnspent(10, 1, proof, REQUESTER);
    }
}
