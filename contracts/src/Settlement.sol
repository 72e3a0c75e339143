// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title Escrow, epochs and claims.
/// @notice Requesters deposit. An epoch states, as two Merkle roots, all that every account was ever credited and
/// debited; after its challenge window it is final for ever. Accounts claim what they are credited, requesters that
/// leave take back what they did not spend.
///
/// What always holds, whoever misbehaves: `balance >= creditsCum of the newest epoch - totalClaimed`, that is, every
/// finalized credit can be paid. Deposits shrink only down to what is credited (finalized or proposed), and claims
/// never add up to more than the finalized credits, whatever a root says.
///
/// Nothing here is upgradeable, and nothing iterates: an epoch costs the same gas for any number of accounts.
contract Settlement is AccessControl {
    using SafeERC20 for IERC20;

    /// @notice Which tree of an epoch a leaf belongs to; part of the leaf.
    enum Side {
        Credit,
        Debit
    }

    /// @notice Sums over all accounts since the beginning, base units.
    struct Totals {
        uint256 creditsCum;
        uint256 debitsCum;
    }

    /// @notice `finalizedAt` is zero while the epoch can still be vetoed. Times are unix seconds.
    struct Epoch {
        bytes32 creditRoot;
        bytes32 debitRoot;
        bytes32 dataHash;
        Totals totals;
        uint64 proposedAt;
        uint64 finalizedAt;
    }

    /// @notice Proposes epochs and attests that a requester never spent.
    bytes32 public constant SETTLER_ROLE = keccak256("SETTLER_ROLE");
    /// @notice Vetoes proposed epochs.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");

    IERC20 public immutable token;
    /// @notice Seconds between an epoch's proposal and the earliest time it may be finalized.
    uint64 public immutable challengeWindow;
    /// @notice Seconds between a requester's exit request and the proposal of the first epoch that can release its
    /// deposit. No order may run longer than this: then that epoch holds every debit of the requester.
    uint64 public immutable exitDelay;

    /// @notice The newest finalized epoch; 0 before the first.
    uint64 public lastEpoch;
    /// @notice All deposits less all withdrawals.
    uint256 public totalDeposited;
    uint256 public totalClaimed;

    /// @notice Deposits of a requester less its withdrawals. Its debits may not exceed this.
    mapping(address requester => uint256) public deposited;
    /// @notice What an account has claimed so far.
    mapping(address account => uint256) public claimed;
    /// @notice When a requester asked to leave; 0 when it did not.
    mapping(address requester => uint64) public exitRequestedAt;
    /// @notice The newest epoch for which the settler attests that the requester has no debit at all.
    mapping(address requester => uint64) public unspentAsOf;

    mapping(uint64 number => Epoch) private _epochs;

    event Deposited(address indexed requester, address indexed from, uint256 amount, uint256 deposited);
    event EpochProposed(
        uint64 indexed epoch,
        bytes32 creditRoot,
        bytes32 debitRoot,
        uint256 creditsCum,
        uint256 debitsCum,
        bytes32 dataHash,
        string uri
    );
    event EpochVetoed(uint64 indexed epoch, address indexed guardian, bytes32 dataHash, string reason);
    event EpochFinalized(uint64 indexed epoch, bytes32 creditRoot, bytes32 debitRoot, bytes32 dataHash);
    event Claimed(address indexed account, uint64 indexed epoch, uint256 amount, uint256 cumulative);
    event ExitRequested(address indexed requester, uint64 maturesAt);
    event UnspentAttested(address indexed requester, uint64 indexed epoch);
    event Withdrawn(address indexed requester, address indexed to, uint64 indexed epoch, uint256 amount, uint256 spent);

    error ZeroAddress();
    error ZeroAmount();
    error EpochOutOfOrder(uint64 given, uint64 expected);
    error EpochPending(uint64 epoch);
    error EpochNotPending(uint64 epoch);
    error EpochNotFinalized(uint64 epoch);
    error EpochNotLatest(uint64 given, uint64 latest);
    error ChallengeWindowOpen(uint64 epoch, uint64 endsAt);
    error TotalsFell(uint256 creditsCum, uint256 creditsBefore, uint256 debitsCum, uint256 debitsBefore);
    error NotConserved(uint256 creditsAdded, uint256 debitsAdded);
    error CreditsExceedDeposits(uint256 creditsCum, uint256 totalDeposited);
    error InvalidProof(Side side, address account, uint256 cumulative, uint64 epoch);
    error NothingToClaim(address account, uint256 cumulative, uint256 claimed);
    error ClaimsExceedCredits(uint256 totalClaimed, uint256 creditsCum);
    error ExitAlreadyRequested(address requester, uint64 requestedAt);
    error NoExitRequested(address requester);
    error EpochBeforeExit(uint64 epoch, uint64 proposedAt, uint64 maturesAt);
    error NothingToWithdraw(address requester, uint256 deposited, uint256 spent);
    error WithdrawalUncoversCredits(uint256 remaining, uint256 creditsCum);

    constructor(
        IERC20 token_,
        address admin,
        address settler,
        address guardian,
        uint64 challengeWindow_,
        uint64 exitDelay_
    ) {
        require(address(token_) != address(0) && admin != address(0), ZeroAddress());
        token = token_;
        challengeWindow = challengeWindow_;
        exitDelay = exitDelay_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(SETTLER_ROLE, settler);
        _grantRole(GUARDIAN_ROLE, guardian);
    }

    // ---------------------------------------------------------------- deposits

    /// @notice Adds `amount` of the caller's tokens to the deposit of `requester`.
    function deposit(address requester, uint256 amount) external {
        require(requester != address(0), ZeroAddress());
        require(amount != 0, ZeroAmount());
        deposited[requester] += amount;
        totalDeposited += amount;
        emit Deposited(requester, msg.sender, amount, deposited[requester]);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    // ---------------------------------------------------------------- epochs

    /// @notice Proposes the epoch after the newest finalized one.
    /// @param dataHash keccak256 of the epoch file, from which anybody can recompute both roots.
    /// @param uri Where the file can be had.
    function proposeEpoch(
        uint64 epoch,
        bytes32 creditRoot,
        bytes32 debitRoot,
        Totals calldata totals,
        bytes32 dataHash,
        string calldata uri
    ) external onlyRole(SETTLER_ROLE) {
        uint64 expected = lastEpoch + 1;
        require(epoch == expected, EpochOutOfOrder(epoch, expected));
        require(_epochs[epoch].proposedAt == 0, EpochPending(epoch));
        _checkTotals(totals, _epochs[lastEpoch].totals);
        _epochs[epoch] = Epoch({
            creditRoot: creditRoot,
            debitRoot: debitRoot,
            dataHash: dataHash,
            totals: totals,
            proposedAt: uint64(block.timestamp),
            finalizedAt: 0
        });
        emit EpochProposed(epoch, creditRoot, debitRoot, totals.creditsCum, totals.debitsCum, dataHash, uri);
    }

    /// @notice Removes a proposed epoch. Its number is free again.
    function vetoEpoch(uint64 epoch, string calldata reason) external onlyRole(GUARDIAN_ROLE) {
        bytes32 dataHash = _pendingEpoch(epoch).dataHash;
        delete _epochs[epoch];
        emit EpochVetoed(epoch, msg.sender, dataHash, reason);
    }

    /// @notice Makes a proposed epoch final. Anybody may, once the challenge window is over.
    function finalizeEpoch(uint64 epoch) external {
        Epoch storage pending = _pendingEpoch(epoch);
        uint64 endsAt = pending.proposedAt + challengeWindow;
        require(block.timestamp >= endsAt, ChallengeWindowOpen(epoch, endsAt));
        pending.finalizedAt = uint64(block.timestamp);
        lastEpoch = epoch;
        emit EpochFinalized(epoch, pending.creditRoot, pending.debitRoot, pending.dataHash);
    }

    // ---------------------------------------------------------------- claims

    /// @notice Pays the caller what a finalized epoch credits to it, less what it has claimed before.
    /// @param cumulative All that was ever credited to the caller, by that epoch.
    function claim(uint256 cumulative, uint64 epoch, bytes32[] calldata proof) external {
        bytes32 root = _finalizedEpoch(epoch).creditRoot;
        _checkProof(root, Side.Credit, msg.sender, cumulative, epoch, proof);
        uint256 before = claimed[msg.sender];
        require(cumulative > before, NothingToClaim(msg.sender, cumulative, before));
        uint256 amount = cumulative - before;
        uint256 total = totalClaimed + amount;
        uint256 credits = _epochs[lastEpoch].totals.creditsCum;
        // A root whose leaves add up to more than its totals must not reach into deposits.
        require(total <= credits, ClaimsExceedCredits(total, credits));
        claimed[msg.sender] = cumulative;
        totalClaimed = total;
        emit Claimed(msg.sender, epoch, amount, cumulative);
        token.safeTransfer(msg.sender, amount);
    }

    // ---------------------------------------------------------------- exits

    /// @notice The caller leaves as requester: from now on the network takes no order of it.
    function requestExit() external {
        uint64 requestedAt = exitRequestedAt[msg.sender];
        require(requestedAt == 0, ExitAlreadyRequested(msg.sender, requestedAt));
        exitRequestedAt[msg.sender] = uint64(block.timestamp);
        emit ExitRequested(msg.sender, uint64(block.timestamp) + exitDelay);
    }

    /// @notice States that `requester` has no debit in any epoch up to the newest. A tree cannot prove an absence, so
    /// a requester that never spent needs this to leave.
    function attestUnspent(address requester, uint64 epoch) external onlyRole(SETTLER_ROLE) {
        require(epoch == lastEpoch && epoch != 0, EpochNotLatest(epoch, lastEpoch));
        unspentAsOf[requester] = epoch;
        emit UnspentAttested(requester, epoch);
    }

    /// @notice Sends the caller's deposit less all that it spent to `to`, and ends its exit.
    /// @param spentCumulative All that was ever debited to the caller, by the newest epoch. An older epoch would know of
    /// less, so none is accepted; and the newest must have been proposed after the exit delay, so that it holds the
    /// debits of every order that was running when the caller asked to leave.
    /// @param proof Empty, with `spentCumulative` 0, for a requester that never spent: see `attestUnspent`.
    function withdrawUnspent(uint256 spentCumulative, uint64 epoch, bytes32[] calldata proof, address to) external {
        require(to != address(0), ZeroAddress());
        require(epoch == lastEpoch, EpochNotLatest(epoch, lastEpoch));
        Epoch storage newest = _finalizedEpoch(epoch);
        _checkExit(epoch, newest.proposedAt);
        if (spentCumulative != 0 || unspentAsOf[msg.sender] != epoch) {
            _checkProof(newest.debitRoot, Side.Debit, msg.sender, spentCumulative, epoch, proof);
        }
        uint256 held = deposited[msg.sender];
        require(held > spentCumulative, NothingToWithdraw(msg.sender, held, spentCumulative));
        uint256 amount = held - spentCumulative;
        _checkCoverage(totalDeposited - amount);
        deposited[msg.sender] = spentCumulative;
        totalDeposited -= amount;
        delete exitRequestedAt[msg.sender];
        emit Withdrawn(msg.sender, to, epoch, amount, spentCumulative);
        token.safeTransfer(to, amount);
    }

    // ---------------------------------------------------------------- views

    /// @notice An epoch, finalized or proposed; all zero when there is none of that number.
    function epochs(uint64 number) external view returns (Epoch memory) {
        return _epochs[number];
    }

    /// @notice The leaf of `account`: hashed twice, so that no inner node can pass for one.
    function leaf(Side side, address account, uint256 cumulative) public view returns (bytes32) {
        bytes32 inner = keccak256(abi.encode(block.chainid, address(this), side, account, cumulative));
        return keccak256(bytes.concat(inner));
    }

    // ---------------------------------------------------------------- rules

    function _checkTotals(Totals calldata next, Totals storage last) private view {
        (uint256 credits, uint256 debits) = (last.creditsCum, last.debitsCum);
        require(
            next.creditsCum >= credits && next.debitsCum >= debits,
            TotalsFell(next.creditsCum, credits, next.debitsCum, debits)
        );
        (uint256 creditsAdded, uint256 debitsAdded) = (next.creditsCum - credits, next.debitsCum - debits);
        require(creditsAdded == debitsAdded, NotConserved(creditsAdded, debitsAdded));
        require(next.creditsCum <= totalDeposited, CreditsExceedDeposits(next.creditsCum, totalDeposited));
    }

    function _checkExit(uint64 epoch, uint64 proposedAt) private view {
        uint64 requestedAt = exitRequestedAt[msg.sender];
        require(requestedAt != 0, NoExitRequested(msg.sender));
        uint64 maturesAt = requestedAt + exitDelay;
        require(proposedAt > maturesAt, EpochBeforeExit(epoch, proposedAt, maturesAt));
    }

    /// @dev A proposed epoch counts as if it were final: what it credits may not lose its cover meanwhile.
    function _checkCoverage(uint256 remaining) private view {
        uint256 credits = _epochs[lastEpoch].totals.creditsCum;
        uint256 proposed = _epochs[lastEpoch + 1].totals.creditsCum;
        uint256 owed = proposed > credits ? proposed : credits;
        require(remaining >= owed, WithdrawalUncoversCredits(remaining, owed));
    }

    function _checkProof(
        bytes32 root,
        Side side,
        address account,
        uint256 cumulative,
        uint64 epoch,
        bytes32[] calldata proof
    ) private view {
        bool proven = MerkleProof.verifyCalldata(proof, root, leaf(side, account, cumulative));
        require(proven, InvalidProof(side, account, cumulative, epoch));
    }

    function _pendingEpoch(uint64 epoch) private view returns (Epoch storage pending) {
        pending = _epochs[epoch];
        require(pending.proposedAt != 0 && pending.finalizedAt == 0, EpochNotPending(epoch));
    }

    function _finalizedEpoch(uint64 epoch) private view returns (Epoch storage finalized) {
        finalized = _epochs[epoch];
        require(finalized.finalizedAt != 0, EpochNotFinalized(epoch));
    }
}
